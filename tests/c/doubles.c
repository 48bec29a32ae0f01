/* Floating-point numbers in and out: printf of doubles and long doubles (x87 in
 * musl), strtod, and a little arithmetic on the way. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    static const double values[] = {
        0.0, -0.0, 1.0, -1.5, 0.1, 1.0 / 3.0, 2.0 / 3.0, 1e-5, 123456789.125, 1e15, 1e16,
        1e22, 1e23, 5e-324, DBL_MIN, DBL_MAX, DBL_EPSILON, 3.141592653589793, 65504.0,
        9007199254740993.0, 0.5, 2.5, 1e100, 4.35, 0.045,
    };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        double x = values[i];
        printf("%f|%e|%g|%.17g|%a|%.0f|%10.3f|%-12.2e|%+g\n", x, x, x, x, x, x, x, x, x);
    }
    printf("%f %f %f\n", INFINITY, -INFINITY, NAN);

    long double sum = 0.0L;
    for (int i = 1; i <= 100; i++)
        sum += 1.0L / i;
    printf("%.18Lg %La %.3Lf\n", sum, sum, 1e30L);

    double product = 1.0;
    for (int i = 1; i <= 25; i++)
        product *= i * 1.01;
    printf("%.17g %.17g %.17g\n", product, sqrt(2.0), product / 7.0);

    printf("%.17g %.17g %.17g\n", strtod("0.1", NULL), strtod("1e-320", NULL),
           strtod("179769313486231580793e289", NULL));
    printf("%d %u %ld %d\n", (int)-2.9, (unsigned)3e9, (long)1e18, (int)(char)65.7);
    printf("%.9g %.9g\n", (double)(float)0.1, (double)((float)1.0 / (float)3.0));
    return 0;
}
