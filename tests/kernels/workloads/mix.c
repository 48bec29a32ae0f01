/* What small processors are judged by: a list is sorted and searched, matrices
 * of short numbers are multiplied, a machine of states reads text, and all of
 * it goes through a CRC. */
#include "workloads.h"

struct node {
    struct node *next;
    short key, value;
};

enum { NODES = 300, SIDE = 12 };
static struct node nodes[NODES];
static short left[SIDE][SIDE], right[SIDE][SIDE];
static int product[SIDE][SIDE];

static u16 crc(u16 sum, u32 value)
{
    for (int bit = 0; bit < 32; bit++, value >>= 1)
        sum = (u16)((sum ^ value) & 1 ? sum >> 1 ^ 0xA001 : sum >> 1);
    return sum;
}

static struct node *make_list(u64 seed)
{
    for (int i = 0; i < NODES; i++) {
        nodes[i].next = i + 1 < NODES ? &nodes[i + 1] : 0;
        nodes[i].key = (short)(next_random(&seed) % 1000);
        nodes[i].value = (short)i;
    }
    return nodes;
}

static struct node *merge(struct node *a, struct node *b)
{
    struct node *first = 0, **end = &first;
    while (a && b) {
        struct node **less = a->key <= b->key ? &a : &b;
        *end = *less;
        end = &(*less)->next;
        *less = (*less)->next;
    }
    *end = a ? a : b;
    return first;
}

static struct node *sort(struct node *list, int count)
{
    if (count < 2)
        return list;
    struct node *middle = list, *before = 0;
    for (int i = 0; i < count / 2; i++) {
        before = middle;
        middle = middle->next;
    }
    before->next = 0;
    struct node *low = sort(list, count / 2);
    return merge(low, sort(middle, count - count / 2));
}

static u16 lists(u64 seed, u16 sum)
{
    struct node *list = sort(make_list(seed), NODES);
    for (int wanted = 0; wanted < 1000; wanted += 50) {
        struct node *at = list;
        while (at && at->key < wanted)
            at = at->next;
        sum = crc(sum, at ? (u32)at->value : 0);
    }
    return sum;
}

static u16 matrices(u64 seed, u16 sum)
{
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            left[i][j] = (short)(next_random(&seed) & 0xFF);
            right[i][j] = (short)(seed >> 20 & 0x7F);
        }
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            int cell = 0;
            for (int k = 0; k < SIDE; k++)
                cell += left[i][k] * right[k][j];
            product[i][j] = cell >> 2;
        }
    for (int i = 0; i < SIDE; i++)
        sum = crc(sum, (u32)product[i][i]);
    return sum;
}

/* Which kind of number or word each part of a text is. */
enum state { START, INTEGER, POINT, FRACTION, EXPONENT, WORD, BAD, STATES };

static enum state follow(enum state state, char c)
{
    int digit = c >= '0' && c <= '9', letter = c >= 'a' && c <= 'z';
    switch (state) {
    case START:
        return digit ? INTEGER : letter ? WORD : c == '+' || c == '-' ? INTEGER : BAD;
    case INTEGER:
        return digit ? INTEGER : c == '.' ? POINT : c == 'e' ? EXPONENT : BAD;
    case POINT:
    case FRACTION:
        return digit ? FRACTION : c == 'e' ? EXPONENT : BAD;
    case EXPONENT:
        return digit || c == '-' ? EXPONENT : BAD;
    case WORD:
        return letter || digit ? WORD : BAD;
    default:
        return BAD;
    }
}

static u16 states(u64 seed, u16 sum)
{
    static const char text[] = "12,3.5e-7,abc,-44.125,x9y,+7,1e5,?,zebra,0.0,8..1,q,31415926,e,2.71828,";
    u32 counts[STATES] = {0};
    enum state state = START;
    for (u32 i = 0; i < 4 * (sizeof text - 1); i++) {
        char c = text[i % (sizeof text - 1)];
        if (i % 17 == seed % 17)
            c ^= 1;
        if (c == ',') {
            counts[state]++;
            state = START;
        } else {
            state = follow(state, c);
        }
    }
    for (int i = 0; i < STATES; i++)
        sum = crc(sum, counts[i]);
    return sum;
}

u64 mix(u64 n)
{
    u64 total = 0, seed = 0x2545F4914F6CDD1D;
    u16 sum = 0;
    for (u64 round = 0; round < n; round++) {
        sum = lists(next_random(&seed), sum);
        sum = matrices(seed, sum);
        sum = states(seed, sum);
        total += sum;
    }
    return total;
}
