/* Preloaded into turnutils_uclient, which binds two channels of one allocation under numbers that it draws at random.
 * One client in 16,384 draws the same number twice. The server then answers 400, as RFC 8656 §12.2 says, and uclient
 * gives up. Here no draw ends in the same 14 bits as one of the 256 before it, so that this cannot happen. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#define CHANNELS 0x4000 /* 0x4000 to 0x7FFF: uclient takes its draw modulo this many */
#define REMEMBERED 256

typedef int (*rand_bytes)(unsigned char *, int);

static int is_new(unsigned long draw) {
  static unsigned long earlier[REMEMBERED];
  static unsigned drawn;
  for (unsigned i = 0; i < REMEMBERED && i < drawn; i++)
    if (earlier[i] == draw) return 0;
  earlier[drawn++ % REMEMBERED] = draw;
  return 1;
}

/* uclient's turn_random() asks for one `long` at a time; everything else passes unchanged. */
int RAND_bytes(unsigned char *bytes, int length) {
  static rand_bytes openssl;
  long draw;
  if (!openssl) openssl = (rand_bytes)dlsym(RTLD_NEXT, "RAND_bytes");
  if (!openssl) abort();
  if (length != sizeof draw) return openssl(bytes, length);
  do {
    if (openssl((unsigned char *)&draw, sizeof draw) != 1) return 0;
  } while (!is_new((unsigned long)draw % CHANNELS));
  memcpy(bytes, &draw, sizeof draw);
  return 1;
}
