//! The file in which usage is kept: one SQLite table, with a row for each user and day.
//!
//! Every write is one transaction, and on disk when it returns. Two daemons may write to one file, as they do while one
//! drains and its successor serves; and `sqlite3` may read it meanwhile.

use std::fmt;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, Row, Statement, Transaction, TransactionBehavior, params};

use crate::credentials::{Owner, OwnerKind};
use crate::usage::day::Day;
use crate::usage::ledger::{Page, Pages, Used};

/// An open file.
#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    connection: Connection,
}

/// What a user used on one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The day.
    pub day: Day,
    /// The user; `None` for all users beyond the bound of that day, together.
    pub owner: Option<Owner>,
    /// The amount.
    pub used: Used,
}

/// Which entries to read.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// The first day.
    pub since: Day,
    /// Only entries of users with this name, static or not.
    pub user: Option<String>,
    /// Only entries after this one: where an earlier answer ended.
    pub after: Option<Key>,
    /// At most this many.
    pub limit: u32,
}

/// Where an entry stands in the order of all entries.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The day.
    pub day: Day,
    /// The kind of user, as [`columns`] names it.
    pub kind: String,
    /// The user's name.
    pub user: String,
}

/// Why the file cannot be used.
#[derive(Debug)]
pub(super) struct StoreError {
    path: PathBuf,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    /// It cannot be opened.
    Io(io::Error),
    /// It belongs to another program, or to a later Hairpin.
    Foreign,
    Sqlite(rusqlite::Error),
}

/// Rows of one day. Further users of that day are counted together, so that a flood of users cannot fill the disk.
const USERS_A_DAY: u64 = 100_000;

/// Marks the file as ours: "Hrpn".
const APPLICATION: i64 = 0x4872_706e;
/// The version of [`SCHEMA`].
const VERSION: i64 = 1;

const SCHEMA: &str = "
    CREATE TABLE usage (
        day TEXT NOT NULL,
        kind TEXT NOT NULL,
        user TEXT NOT NULL,
        sessions INTEGER NOT NULL,
        seconds INTEGER NOT NULL,
        bytes_up INTEGER NOT NULL,
        bytes_down INTEGER NOT NULL,
        PRIMARY KEY (day, kind, user)
    ) STRICT, WITHOUT ROWID;";

/// A name that was deleted does not stay in the file. What was committed survives a loss of power. The cache takes
/// 1 MiB.
const SETTINGS: &str = "
    PRAGMA secure_delete = ON;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA cache_size = -1024;
    PRAGMA journal_size_limit = 4194304;";

const ADD: &str = "
    UPDATE usage SET sessions = sessions + ?4, seconds = seconds + ?5, bytes_up = bytes_up + ?6,
        bytes_down = bytes_down + ?7
    WHERE day = ?1 AND kind = ?2 AND user = ?3";

const INSERT: &str = "INSERT INTO usage VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

const READ: &str = "
    SELECT day, kind, user, sessions, seconds, bytes_up, bytes_down FROM usage
    WHERE day >= ?1 AND (?2 IS NULL OR user = ?2) AND (?3 IS NULL OR (day, kind, user) > (?3, ?4, ?5))
    ORDER BY day, kind, user LIMIT ?6";

const CARRIED: &str = "
    SELECT kind, user, bytes_up + bytes_down FROM usage WHERE day = ?1 ORDER BY bytes_up + bytes_down DESC LIMIT ?2";

const COUNT: &str = "SELECT count(*) FROM usage WHERE day = ?1";

const PRUNE: &str = "DELETE FROM usage WHERE day < ?1";

/// What the column `kind` says: the tag of time-limited credentials.
const TAG: &str = "tag";
/// One of `credentials.users`.
const STATIC: &str = "static";
/// All users beyond [`USERS_A_DAY`], and those that had no place in memory.
const OTHERS: &str = "others";

/// How long a write waits for another program that writes.
const PATIENCE: Duration = Duration::from_secs(2);

impl Store {
    /// Opens a file, and makes it if it does not exist.
    ///
    /// # Errors
    /// Why the file cannot be used.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = make(path).map_err(Cause::Io).and_then(|()| connect(path));
        let connection = connection.map_err(|cause| StoreError { path: path.to_owned(), cause })?;
        Ok(Self { path: path.to_owned(), connection })
    }

    /// Adds everything, or nothing if it fails.
    ///
    /// # Errors
    /// Why it fails.
    pub(super) fn add(&mut self, pages: &Pages) -> Result<(), StoreError> {
        let write = |connection: &mut Connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for (day, page) in pages {
                Rows::of(&transaction, *day)?.add(page)?;
            }
            transaction.commit()
        };
        write(&mut self.connection).map_err(|error| self.failed(error))
    }

    /// The entries that `query` names, in the order of [`Entry::key`].
    ///
    /// # Errors
    /// Why the file cannot be read.
    pub(super) fn read(&self, query: &Query) -> Result<Vec<Entry>, StoreError> {
        let read = || -> rusqlite::Result<Vec<Entry>> {
            let Query { since, user, after, limit } = query;
            let after = after.as_ref().map(|Key { day, kind, user }| (day.to_string(), kind, user));
            let (day, kind, after) = match &after {
                Some((day, kind, user)) => (Some(day), Some(kind), Some(user)),
                None => (None, None, None),
            };
            let mut statement = self.connection.prepare(READ)?;
            let entries =
                statement.query_map(params![since.to_string(), user, day, kind, after, limit], entry)?;
            entries.collect()
        };
        read().map_err(|error| self.failed(error))
    }

    /// What each user carried on `day`: the `most` who carried the most.
    ///
    /// # Errors
    /// Why the file cannot be read.
    pub(super) fn carried(&self, day: Day, most: u32) -> Result<Vec<(Owner, u64)>, StoreError> {
        let read = || -> rusqlite::Result<Vec<(Owner, u64)>> {
            let mut statement = self.connection.prepare(CARRIED)?;
            let users = statement.query_map(params![day.to_string(), most], |row| {
                Ok((owner(row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?), unsigned(row.get(2)?)))
            })?;
            let users = users.filter_map(|user| match user {
                Ok((owner, bytes)) => Some(Ok((owner?, bytes))),
                Err(error) => Some(Err(error)),
            });
            users.collect()
        };
        read().map_err(|error| self.failed(error))
    }

    /// Deletes what is older than `first`; returns how many rows that were.
    ///
    /// # Errors
    /// Why it fails.
    pub(super) fn prune(&self, first: Day) -> Result<usize, StoreError> {
        let delete = || {
            let deleted = self.connection.execute(PRUNE, [first.to_string()])?;
            // The journal may still have what was deleted.
            if deleted > 0 {
                self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
            }
            Ok(deleted)
        };
        delete().map_err(|error| self.failed(error))
    }

    fn failed(&self, error: rusqlite::Error) -> StoreError {
        StoreError { path: self.path.clone(), cause: Cause::Sqlite(error) }
    }
}

/// Makes an empty file that only its owner may read, if there is none. A pipe or a device is refused: to open it could take
/// forever.
fn make(path: &Path) -> io::Result<()> {
    match path.metadata() {
        Ok(found) if found.is_file() => Ok(()),
        Ok(_) => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map(drop)
        }
        Err(error) => Err(error),
    }
}

fn connect(path: &Path) -> Result<Connection, Cause> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(PATIENCE)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let number = |sql| transaction.query_row(sql, [], |row| row.get::<_, i64>(0));
    let is_empty = number("SELECT count(*) FROM sqlite_schema")? == 0;
    if is_empty {
        transaction.execute_batch(SCHEMA)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
    } else if number("PRAGMA application_id")? != APPLICATION || number("PRAGMA user_version")? != VERSION {
        return Err(Cause::Foreign);
    }
    transaction.commit()?;
    connection.execute_batch(SETTINGS)?;
    Ok(connection)
}

/// The rows of one day, in a transaction.
struct Rows<'a> {
    transaction: &'a Transaction<'a>,
    day: String,
    add: Statement<'a>,
    insert: Statement<'a>,
    /// How many there are, once that matters.
    count: Option<u64>,
}

impl<'a> Rows<'a> {
    fn of(transaction: &'a Transaction<'a>, day: Day) -> rusqlite::Result<Self> {
        let (add, insert) = (transaction.prepare(ADD)?, transaction.prepare(INSERT)?);
        Ok(Self { transaction, day: day.to_string(), add, insert, count: None })
    }

    fn add(&mut self, page: &Page) -> rusqlite::Result<()> {
        let mut others = page.others;
        for (owner, used) in &page.users {
            let (kind, user) = columns(Some(owner));
            if self.update(kind, user, *used)? {
                continue;
            }
            if self.is_full()? {
                others.add(*used);
            } else {
                self.insert(kind, user, *used)?;
            }
        }
        let (kind, user) = columns(None);
        if !others.is_nothing() && !self.update(kind, user, others)? {
            self.insert(kind, user, others)?;
        }
        Ok(())
    }

    /// Adds to a row; returns whether it is there.
    fn update(&mut self, kind: &str, user: &str, used: Used) -> rusqlite::Result<bool> {
        let [sessions, seconds, up, down] = signed(used);
        Ok(self.add.execute(params![self.day, kind, user, sessions, seconds, up, down])? > 0)
    }

    fn insert(&mut self, kind: &str, user: &str, used: Used) -> rusqlite::Result<()> {
        let [sessions, seconds, up, down] = signed(used);
        self.insert.execute(params![self.day, kind, user, sessions, seconds, up, down])?;
        self.count = self.count.map(|count| count + 1);
        Ok(())
    }

    fn is_full(&mut self) -> rusqlite::Result<bool> {
        let count = match self.count {
            Some(count) => count,
            None => unsigned(self.transaction.query_row(COUNT, [&self.day], |row| row.get(0))?),
        };
        self.count = Some(count);
        Ok(count >= USERS_A_DAY)
    }
}

impl Entry {
    /// Where it stands in the order of all entries.
    #[must_use]
    pub fn key(&self) -> Key {
        let (kind, user) = columns(self.owner.as_ref());
        Key { day: self.day, kind: kind.to_owned(), user: user.to_owned() }
    }
}

/// The columns `kind` and `user` of a user's row.
#[must_use]
pub fn columns(owner: Option<&Owner>) -> (&'static str, &str) {
    match owner {
        Some(Owner { kind: OwnerKind::TimeLimited, tag }) => (TAG, tag),
        Some(Owner { kind: OwnerKind::Static, tag }) => (STATIC, tag),
        None => (OTHERS, ""),
    }
}

fn owner(kind: &str, user: &str) -> Option<Owner> {
    let kind = match kind {
        TAG => OwnerKind::TimeLimited,
        STATIC => OwnerKind::Static,
        _ => return None,
    };
    Some(Owner { kind, tag: user.into() })
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let text = |index| Ok::<_, rusqlite::Error>(row.get_ref(index)?.as_str()?);
    let number = |index| row.get(index).map(unsigned);
    let used =
        Used { sessions: number(3)?, seconds: number(4)?, bytes_up: number(5)?, bytes_down: number(6)? };
    // A day that somebody else has written wrongly is shown as the first one.
    Ok(Entry { day: text(0)?.parse().unwrap_or_default(), owner: owner(text(1)?, text(2)?), used })
}

/// SQLite's integers have a sign.
fn signed(Used { sessions, seconds, bytes_up, bytes_down }: Used) -> [i64; 4] {
    [sessions, seconds, bytes_up, bytes_down].map(|number| i64::try_from(number).unwrap_or(i64::MAX))
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

impl From<rusqlite::Error> for Cause {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl StoreError {
    /// What the operator can do.
    fn remedy(&self) -> &'static str {
        let code = match &self.cause {
            Cause::Foreign => return "name another file in usage.path, or update Hairpin",
            Cause::Io(error) if error.kind() == io::ErrorKind::StorageFull => Some(ErrorCode::DiskFull),
            Cause::Io(_) => Some(ErrorCode::CannotOpen),
            Cause::Sqlite(error) => error.sqlite_error_code(),
        };
        match code {
            Some(ErrorCode::DiskFull) => "make room on its disk",
            Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => {
                "usage.path must be a file in an existing directory where the daemon's user may write; under systemd, \
                 StateDirectory=hairpin makes /var/lib/hairpin"
            }
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                "it is damaged, or not a usage file: move it away, and Hairpin makes a new one"
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                "another program holds it: close what has it open (`fuser` shows it)"
            }
            Some(_) | None => "check its disk, which may be full or broken",
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be used (", self.path.display())?;
        match &self.cause {
            Cause::Io(error) => error.fmt(f)?,
            Cause::Foreign => f.write_str("another program, or a later Hairpin, has made it")?,
            Cause::Sqlite(error) => error.fmt(f)?,
        }
        write!(f, "): {}", self.remedy())
    }
}

impl std::error::Error for StoreError {}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::clock::Unix;

    const TODAY: Unix = Unix::from_secs(1_795_780_800);

    /// A folder for one test.
    struct Folder(PathBuf);

    impl Folder {
        fn new(test: &str) -> Self {
            let path = std::env::temp_dir().join(format!("hairpin-store-{}-{test}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn file(&self) -> PathBuf {
            self.0.join("usage.db")
        }

        fn store(&self) -> Store {
            Store::open(&self.file()).unwrap()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn day() -> Day {
        Day::of(TODAY)
    }

    fn tag(tag: &str) -> Owner {
        Owner { kind: OwnerKind::TimeLimited, tag: tag.into() }
    }

    fn used(bytes_up: u64) -> Used {
        Used { sessions: 1, seconds: 20, bytes_up, bytes_down: 2 * bytes_up }
    }

    fn page(users: &[(Owner, u64)]) -> Page {
        let users = users.iter().map(|(owner, bytes)| (owner.clone(), used(*bytes)));
        Page { users: users.collect(), others: Used::default() }
    }

    fn all() -> Query {
        Query { limit: 1000, ..Query::default() }
    }

    /// The entries as `day user=bytes up`.
    fn read(store: &Store, query: &Query) -> Vec<String> {
        let show = |entry: Entry| {
            let (kind, user) = columns(entry.owner.as_ref());
            format!("{} {kind}/{user}={}", entry.day, entry.used.bytes_up)
        };
        store.read(query).unwrap().into_iter().map(show).collect()
    }

    #[test]
    fn what_is_added_on_several_occasions_is_summed_up_by_user_and_day() {
        let folder = Folder::new("sum");
        let mut store = folder.store();
        let alice = Owner { kind: OwnerKind::Static, tag: "alice".into() };
        store.add(&Pages::from([(day(), page(&[(tag("alice"), 1), (alice.clone(), 10)]))])).unwrap();
        drop(store);
        let mut store = folder.store();
        let yesterday = (day().before(1), page(&[(tag("alice"), 5)]));
        store.add(&Pages::from([yesterday, (day(), page(&[(tag("alice"), 2), (alice, 20)]))])).unwrap();

        let expected = ["2026-11-26 tag/alice=5", "2026-11-27 static/alice=30", "2026-11-27 tag/alice=3"];
        assert_eq!(read(&store, &all()), expected);
        let sum = Used { sessions: 2, seconds: 40, bytes_up: 3, bytes_down: 6 };
        assert_eq!(store.read(&all()).unwrap()[2].used, sum);
        let mut carried = store.carried(day(), 10).unwrap();
        assert_eq!(carried.remove(1), (tag("alice"), 9));
        assert_eq!(store.carried(day(), 1).unwrap(), carried, "whoever carried the most comes first");
    }

    #[test]
    fn entries_are_read_from_a_day_on_of_one_user_and_in_pieces() {
        let folder = Folder::new("query");
        let mut store = folder.store();
        let three = page(&[(tag("alice"), 1), (tag("bob"), 2), (tag("x' OR 'a"), 3)]);
        store.add(&Pages::from([(day().before(1), three.clone()), (day(), three)])).unwrap();

        let since = Query { since: day(), ..all() };
        assert_eq!(read(&store, &since).len(), 3);
        let bob = Query { user: Some("bob".to_owned()), ..all() };
        assert_eq!(read(&store, &bob), ["2026-11-26 tag/bob=2", "2026-11-27 tag/bob=2"]);
        let (mut pieces, mut query) = (Vec::new(), Query { limit: 2, ..all() });
        loop {
            let piece = store.read(&query).unwrap();
            let Some(last) = piece.last() else { break };
            assert!(piece.len() <= 2);
            query.after = Some(last.key());
            pieces.extend(piece);
        }
        assert_eq!(pieces, store.read(&all()).unwrap());
    }

    #[test]
    fn what_is_too_old_is_deleted_and_its_names_are_gone_from_the_disk() {
        let folder = Folder::new("prune");
        let mut store = folder.store();
        let old = (day().before(35), page(&[(tag("a-name-to-forget"), 1)]));
        store.add(&Pages::from([old, (day().before(34), page(&[(tag("bob"), 2)]))])).unwrap();

        assert_eq!(store.prune(day().before(34)).unwrap(), 1);

        assert_eq!(read(&store, &all()), ["2026-10-24 tag/bob=2"]);
        for file in fs::read_dir(&folder.0).unwrap() {
            let bytes = fs::read(file.unwrap().path()).unwrap();
            assert!(!bytes.windows(16).any(|part| part == b"a-name-to-forget"));
        }
        assert_eq!(store.prune(day().before(34)).unwrap(), 0);
    }

    #[test]
    fn a_day_has_only_so_many_rows_and_all_other_users_are_in_one() {
        let folder = Folder::new("many");
        let mut store = folder.store();
        let users = |from: u64, to: u64| {
            let users: Vec<_> = (from..to).map(|user| (tag(&format!("shop.{user}")), 1)).collect();
            Pages::from([(day(), page(&users))])
        };
        store.add(&users(0, USERS_A_DAY - 1)).unwrap();
        store.add(&users(USERS_A_DAY - 10, USERS_A_DAY + 100)).unwrap();

        let everybody = store.read(&Query { limit: u32::MAX, ..Query::default() }).unwrap();

        assert_eq!(everybody.len() as u64, USERS_A_DAY + 1);
        let sum: u64 = everybody.iter().map(|entry| entry.used.bytes_up).sum();
        assert_eq!(sum, USERS_A_DAY - 1 + 110);
        let others = everybody.iter().find(|entry| entry.owner.is_none()).unwrap();
        assert_eq!(others.used.bytes_up, 100);
    }

    #[test]
    fn only_the_owner_may_read_the_file() {
        let folder = Folder::new("mode");
        let mut store = folder.store();
        store.add(&Pages::from([(day(), page(&[(tag("alice"), 1)]))])).unwrap();
        for file in fs::read_dir(&folder.0).unwrap() {
            let mode = file.unwrap().metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0);
        }
    }

    #[test]
    fn two_daemons_may_write_to_one_file() {
        let folder = Folder::new("two");
        let (mut one, mut other) = (folder.store(), folder.store());
        for store in [&mut one, &mut other] {
            store.add(&Pages::from([(day(), page(&[(tag("alice"), 1)]))])).unwrap();
        }
        assert_eq!(read(&one, &all()), ["2026-11-27 tag/alice=2"]);
    }

    #[test]
    fn what_is_no_usage_file_stays_as_it_is_and_the_error_says_what_to_do() {
        let folder = Folder::new("foreign");
        let error = |path: &Path| Store::open(path).unwrap_err().to_string();
        assert!(error(&folder.0).contains("usage.path must be a file in an existing directory"));
        assert!(error(&folder.0.join("missing/usage.db")).contains("StateDirectory=hairpin"));

        let text = folder.0.join("text");
        fs::write(
            &text,
            "this is a diary, and no database, and longer than a hundred bytes of header, so that it is read",
        )
        .unwrap();
        assert!(error(&text).contains("move it away"), "{}", error(&text));
        assert!(fs::read_to_string(&text).unwrap().starts_with("this is a diary"));

        let others = folder.0.join("others.db");
        Connection::open(&others).unwrap().execute_batch("CREATE TABLE usage (a)").unwrap();
        assert!(error(&others).contains("another program, or a later Hairpin, has made it"));

        let later = folder.file();
        drop(folder.store());
        Connection::open(&later).unwrap().pragma_update(None, "user_version", 2).unwrap();
        assert!(error(&later).contains("update Hairpin"));
    }
}
