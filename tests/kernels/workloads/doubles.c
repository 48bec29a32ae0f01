/* Doubles in SSE2 registers: bodies that attract each other, products of
 * matrices, and points that may belong to Mandelbrot's set. */
#include "workloads.h"

static double root_of(double x)
{
    __asm__("sqrtsd %0, %0" : "+x"(x));
    return x;
}

static u64 bits(double x)
{
    u64 value;
    __builtin_memcpy(&value, &x, 8);
    return value;
}

enum { BODIES = 5, SIDE = 24 };
static struct body {
    double at[3], speed[3], mass;
} bodies[BODIES];
static double left[SIDE][SIDE], right[SIDE][SIDE], product[SIDE][SIDE];

static void attract(struct body *a, struct body *b, double time)
{
    double d[3], square = 0.01;
    for (int i = 0; i < 3; i++) {
        d[i] = a->at[i] - b->at[i];
        square += d[i] * d[i];
    }
    double pull = time / (square * root_of(square));
    for (int i = 0; i < 3; i++) {
        a->speed[i] -= d[i] * b->mass * pull;
        b->speed[i] += d[i] * a->mass * pull;
    }
}

static void move_bodies(u64 steps)
{
    for (u64 step = 0; step < steps; step++) {
        for (int a = 0; a < BODIES; a++)
            for (int b = a + 1; b < BODIES; b++)
                attract(&bodies[a], &bodies[b], 0.001);
        for (int a = 0; a < BODIES; a++)
            for (int i = 0; i < 3; i++)
                bodies[a].at[i] += 0.001 * bodies[a].speed[i];
    }
}

static void multiply(void)
{
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            double sum = 0;
            for (int k = 0; k < SIDE; k++)
                sum += left[i][k] * right[k][j];
            product[i][j] = sum;
        }
}

static u64 mandelbrot(double size)
{
    u64 total = 0;
    for (double y = -1; y < 1; y += size)
        for (double x = -2; x < 1; x += size) {
            double a = 0, b = 0;
            for (int i = 0; i < 60 && a * a + b * b < 4; i++) {
                double next = a * a - b * b + x;
                b = 2 * a * b + y;
                a = next;
                total++;
            }
        }
    return total;
}

u64 doubles(u64 n)
{
    u64 sum = 0;
    for (int i = 0; i < BODIES; i++)
        for (int j = 0; j < 3; j++) {
            bodies[i].at[j] = i * 1.25 + j * 0.75 - i * j * 0.3;
            bodies[i].speed[j] = (i - 2) * 0.1 + j * 0.01;
            bodies[i].mass = 1.0 / (i + 1);
        }
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            left[i][j] = 1.0 / (i + j + 1);
            right[i][j] = i - j * 0.5;
        }
    for (u64 round = 0; round < n; round++) {
        move_bodies(100);
        multiply();
        left[round % SIDE][1] += product[round % SIDE][round % 7] * 0.001;
        sum += mandelbrot(0.09) + bits(bodies[round % BODIES].at[0]) + bits(product[3][5]);
    }
    return sum;
}
