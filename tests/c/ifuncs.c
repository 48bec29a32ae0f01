/* What glibc picks by CPUID at its start: string functions in AVX2, mathematics
   with FMA. The same lines natively and in the guest with cpu = "v3". */
#define _GNU_SOURCE
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>

static uint64_t hash = 0xcbf29ce484222325;

static void mix(const void *bytes, size_t len)
{
    const unsigned char *at = bytes;
    while (len--)
        hash = (hash ^ *at++) * 0x100000001b3;
}

static void show(const char *name)
{
    printf("%-10s %016llx\n", name, (unsigned long long)hash);
}

#define MATHS(name)                                  \
    do {                                             \
        for (int i = -400; i <= 400; i++) {          \
            double wide = name(i * 0.173205080757);  \
            float narrow = name##f(i * 0.17320508f); \
            mix(&wide, sizeof wide);                 \
            mix(&narrow, sizeof narrow);             \
        }                                            \
        show(#name);                                 \
    } while (0)

static void mathematics(void)
{
    MATHS(sin);
    MATHS(cos);
    MATHS(tan);
    MATHS(atan);
    MATHS(exp);
    MATHS(exp2);
    MATHS(log);
    MATHS(log2);
    MATHS(floor);
    MATHS(ceil);
    MATHS(rint);
    MATHS(nearbyint);
    MATHS(trunc);
    MATHS(sqrt);
    for (int i = -60; i <= 60; i++) {
        volatile double x = 1.0 + i / 64.0, y = i * 0.3;
        double powers[] = {pow(x, y), atan2(x, y), fma(x, y, -x * y)};
        mix(powers, sizeof powers);
    }
    show("pow fma");
}

static void strings(void)
{
    static char text[700], copy[700];
    static wchar_t wide[200];
    for (int start = 0; start < 40; start += 3)
        for (int len = 0; len < 600; len += 1 + len / 7) {
            memset(text, 0, sizeof text);
            for (int i = 0; i < len; i++)
                text[start + i] = 'a' + (i * 7 + len) % 26;
            memmove(copy + (start * 5) % 33, text + start, len + 1);
            char *there = copy + (start * 5) % 33;
            char *at[] = {strchr(there, 'q'), strrchr(there, 'q'), memchr(there, 'z', len),
                          memrchr(there, 'b', len), strchrnul(there, '?')};
            int places[] = {(int)strlen(there), (int)strnlen(there, 100),
                            memcmp(there, text + start, len), strcmp(there, text + start),
                            strncmp(there, text + start, len / 2),
                            strcasecmp(there, text + start)};
            mix(places, sizeof places);
            for (size_t i = 0; i < sizeof at / sizeof at[0]; i++) {
                int place = at[i] ? (int)(at[i] - there) : -1;
                mix(&place, sizeof place);
            }
            for (int i = 0; i <= len % 150; i++)
                wide[i] = i < len % 150 ? 0x400 + i : 0;
            size_t wides = wcslen(wide);
            mix(&wides, sizeof wides);
        }
    show("strings");
}

int main(void)
{
    printf("avx2 %d fma %d\n", !!__builtin_cpu_supports("avx2"), !!__builtin_cpu_supports("fma"));
    mathematics();
    strings();
    return 0;
}
