/* What kernel and tenants agree on. */
#pragma once

enum { SYS_WRITE, SYS_EXIT, SYS_ID, SYS_SLEEP };

#define HEAP 0x10000000L
#define HEAP_SIZE 0x100000L
#define STACK_TOP 0x7FFFF000L
#define STACK_SIZE 0x10000L
#define KERNEL_TEXT 0xFFFFFFFF80201000L
