/* The C library's own threads: mutex, condition variable, thread-local data, join. */
#include <pthread.h>
#include <stdio.h>

enum { THREADS = 4, ROUNDS = 500 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t all_done = PTHREAD_COND_INITIALIZER;
static int count, finished;
static _Thread_local long own = -1;

static void *run(void *argument)
{
    own = (long)argument * 10;
    for (int i = 0; i < ROUNDS; i++) {
        pthread_mutex_lock(&mutex);
        count++;
        pthread_mutex_unlock(&mutex);
    }
    pthread_mutex_lock(&mutex);
    if (++finished == THREADS)
        pthread_cond_broadcast(&all_done);
    while (finished < THREADS)
        pthread_cond_wait(&all_done, &mutex);
    pthread_mutex_unlock(&mutex);
    return (void *)own;
}

int main(void)
{
    pthread_t threads[THREADS];
    for (long i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, run, (void *)i) != 0)
            return 1;
    for (int i = 0; i < THREADS; i++) {
        void *result;
        if (pthread_join(threads[i], &result) != 0)
            return 2;
        printf("thread %d kept %ld\n", i, (long)result);
    }
    printf("counted to %d; the first thread's own is %ld\n", count, own);
    return 0;
}
