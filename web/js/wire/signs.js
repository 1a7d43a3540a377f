// @ts-check
/** The 256 signs of safety numbers, with their names in each language; a byte is a sign. */

/** Each a picture that nobody confuses with another: they are compared by telling them to each other. */
const TABLE = `🐶|dog|개
🐱|cat|고양이
🐭|mouse|쥐
🐰|rabbit|토끼
🦊|fox|여우
🐻|bear|곰
🐼|panda|판다
🐨|koala|코알라
🐯|tiger|호랑이
🦁|lion|사자
🐮|cow|소
🐷|pig|돼지
🐸|frog|개구리
🐵|monkey|원숭이
🐔|chicken|닭
🐧|penguin|펭귄
🦆|duck|오리
🦅|eagle|독수리
🦉|owl|부엉이
🦇|bat|박쥐
🐺|wolf|늑대
🐴|horse|말
🦄|unicorn|유니콘
🐝|bee|벌
🐛|caterpillar|애벌레
🦋|butterfly|나비
🐌|snail|달팽이
🐞|ladybug|무당벌레
🐜|ant|개미
🕷️|spider|거미
🦂|scorpion|전갈
🐢|turtle|거북
🐍|snake|뱀
🦎|lizard|도마뱀
🐙|octopus|문어
🦐|shrimp|새우
🦀|crab|게
🐡|blowfish|복어
🐬|dolphin|돌고래
🐳|whale|고래
🦈|shark|상어
🐊|crocodile|악어
🐘|elephant|코끼리
🦏|rhino|코뿔소
🐪|camel|낙타
🦒|giraffe|기린
🐑|sheep|양
🐐|goat|염소
🦌|deer|사슴
🦃|turkey|칠면조
🦚|peacock|공작
🦜|parrot|앵무새
🦢|swan|백조
🦔|hedgehog|고슴도치
🐿️|squirrel|다람쥐
🐾|paw prints|발자국
🐉|dragon|용
🦓|zebra|얼룩말
🌵|cactus|선인장
🎄|Christmas tree|크리스마스트리
🌴|palm tree|야자수
🍀|clover|네잎클로버
🍁|maple leaf|단풍잎
🍄|mushroom|버섯
🌷|tulip|튤립
🌹|rose|장미
🌻|sunflower|해바라기
🌸|blossom|벚꽃
🌍|Earth|지구
🌙|moon|달
⭐|star|별
☀️|sun|해
☁️|cloud|구름
⚡|lightning|번개
🌈|rainbow|무지개
❄️|snowflake|눈송이
⛄|snowman|눈사람
🔥|fire|불
💧|drop|물방울
🌊|wave|파도
🌋|volcano|화산
🗽|Statue of Liberty|자유의 여신상
☂️|umbrella|우산
🌪️|tornado|회오리바람
🍎|apple|사과
🍐|pear|배
🍊|orange|오렌지
🍋|lemon|레몬
🍌|banana|바나나
🍉|watermelon|수박
🍇|grapes|포도
🍓|strawberry|딸기
🍒|cherries|체리
🍍|pineapple|파인애플
🥥|coconut|코코넛
🥝|kiwi|키위
🍅|tomato|토마토
🥑|avocado|아보카도
🥔|potato|감자
🥕|carrot|당근
🌽|corn|옥수수
🌶️|chili pepper|고추
🥒|cucumber|오이
🥦|broccoli|브로콜리
🥐|croissant|크루아상
🍞|bread|빵
🥨|pretzel|프레첼
🧀|cheese|치즈
🥚|egg|달걀
🥞|pancakes|팬케이크
🍔|hamburger|햄버거
🍟|fries|감자튀김
🍕|pizza|피자
🌭|hot dog|핫도그
🌮|taco|타코
🍜|noodles|국수
🍣|sushi|초밥
🍙|rice ball|주먹밥
🍦|ice cream|아이스크림
🍩|doughnut|도넛
🍪|cookie|쿠키
🎂|cake|케이크
🍫|chocolate|초콜릿
🍬|candy|사탕
🍯|honey|꿀
🍿|popcorn|팝콘
☕|coffee|커피
🥛|milk|우유
🥜|peanuts|땅콩
🥄|spoon|숟가락
🚗|car|자동차
🚌|bus|버스
🚒|fire engine|소방차
🚜|tractor|트랙터
🚲|bicycle|자전거
🛴|scooter|킥보드
🏍️|motorcycle|오토바이
🚂|train|기차
✈️|airplane|비행기
🚁|helicopter|헬리콥터
🚀|rocket|로켓
🛸|flying saucer|비행접시
⛵|sailboat|돛단배
⚓|anchor|닻
🚦|traffic light|신호등
⛽|fuel pump|주유기
🏠|house|집
🏰|castle|성
🏭|factory|공장
🗼|tower|탑
🎡|Ferris wheel|관람차
⛲|fountain|분수
⛺|tent|텐트
🗿|stone head|석상
⌚|watch|손목시계
📱|mobile phone|휴대폰
☎️|telephone|전화기
💻|laptop|노트북
📷|camera|카메라
📺|television|텔레비전
📻|radio|라디오
🔦|flashlight|손전등
💡|light bulb|전구
🕯️|candle|양초
🔋|battery|건전지
🔌|plug|플러그
🧲|magnet|자석
🔧|wrench|렌치
🔨|hammer|망치
⚙️|gear|톱니바퀴
⚖️|scales|저울
🔬|microscope|현미경
🔭|telescope|망원경
🔑|key|열쇠
🚪|door|문
🛏️|bed|침대
🛋️|sofa|소파
🛁|bathtub|욕조
🧹|broom|빗자루
🧺|basket|바구니
✂️|scissors|가위
📎|paper clip|클립
📌|pin|압정
✏️|pencil|연필
🖌️|paintbrush|붓
📏|ruler|자
📚|books|책
📰|newspaper|신문
✉️|envelope|편지
📦|box|상자
🎁|gift|선물
🎈|balloon|풍선
🎀|ribbon|리본
👑|crown|왕관
💎|diamond|다이아몬드
💍|ring|반지
👓|glasses|안경
👔|necktie|넥타이
👖|jeans|청바지
👗|dress|원피스
🧦|socks|양말
🧤|gloves|장갑
🧣|scarf|목도리
👢|boot|장화
🎩|top hat|모자
🎒|backpack|배낭
⏰|alarm clock|알람 시계
⏳|hourglass|모래시계
🧭|compass|나침반
🗺️|map|지도
🏮|lantern|등불
🔔|bell|종
📣|megaphone|확성기
🎵|note|음표
🎸|guitar|기타
🎹|piano|피아노
🎺|trumpet|트럼펫
🎻|violin|바이올린
🥁|drum|북
🎤|microphone|마이크
🎧|headphones|헤드폰
🎨|palette|팔레트
🎭|masks|가면
🎲|die|주사위
🧩|puzzle piece|퍼즐
🎯|target|과녁
🎳|bowling|볼링
⚽|soccer ball|축구공
🏀|basketball|농구공
⚾|baseball|야구공
🎾|tennis ball|테니스공
🏓|table tennis|탁구
🏸|badminton|배드민턴
🥊|boxing glove|권투 글러브
🎿|skis|스키
🛷|sled|썰매
⛸️|skate|스케이트
🏆|trophy|트로피
🥇|medal|메달
🏹|bow and arrow|활
🎣|fishing rod|낚싯대
🤖|robot|로봇
👻|ghost|유령
👽|alien|외계인
💀|skull|해골
🎃|pumpkin|호박
🦷|tooth|이빨
🦴|bone|뼈
❤️|heart|하트
💊|pill|알약
🌡️|thermometer|온도계
🛡️|shield|방패
🛒|shopping cart|쇼핑 카트
🔍|magnifying glass|돋보기
🚿|shower|샤워기
⚔️|swords|칼
`;

/** @type {{ sign: string, en: string, ko: string }[]} */
export const SIGNS = TABLE.trim().split("\n").map((line) => {
  const [sign, en, ko] = line.split("|");
  return { sign, en, ko };
});
