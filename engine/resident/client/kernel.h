/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system calls of the client, and the few functions that a C library would have.
 * The calls are those that both architectures have.
 */
#pragma once

#include <linux/memfd.h>
#include <linux/net.h>
#include <linux/time_types.h>
#include <asm-generic/errno-base.h>
#include <asm-generic/fcntl.h>
#include <asm-generic/poll.h>
#include <asm-generic/socket.h>
#include <asm/unistd.h>

#ifdef __x86_64__
__asm__(".globl _start\n"
	"_start:\n"
	"	xor %ebp, %ebp\n"
	"	mov %rsp, %rdi\n"
	"	and $-16, %rsp\n"
	"	call start_of_stack\n");

static long call(long number, long a, long b, long c, long d, long e, long f)
{
	register long fourth __asm__("r10") = d;
	register long fifth __asm__("r8") = e;
	register long sixth __asm__("r9") = f;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth), "r"(fifth), "r"(sixth)
			 : "rcx", "r11", "memory");
	return result;
}
#elif defined(__aarch64__)
__asm__(".globl _start\n"
	"_start:\n"
	"	mov x29, #0\n"
	"	mov x0, sp\n"
	"	bl start_of_stack\n");

static long call(long number, long a, long b, long c, long d, long e, long f)
{
	register long n __asm__("x8") = number;
	register long first __asm__("x0") = a;
	register long second __asm__("x1") = b;
	register long third __asm__("x2") = c;
	register long fourth __asm__("x3") = d;
	register long fifth __asm__("x4") = e;
	register long sixth __asm__("x5") = f;

	__asm__ volatile("svc #0"
			 : "+r"(first)
			 : "r"(n), "r"(second), "r"(third), "r"(fourth), "r"(fifth), "r"(sixth)
			 : "memory");
	return first;
}
#else
#error "the client has system calls for amd64 and arm64 only"
#endif

/* Constants that the kernel's headers for programs do not have (include/linux/net.h, socket.h). */
enum { AF_UNIX = 1, STREAM = 1, MSG_NOSIGNAL = 0x4000 };

/* The process that listens on a socket, or connected to one; struct ucred of include/linux/socket.h. */
struct peer {
	int pid;
	unsigned int uid, gid;
};

__attribute__((noreturn)) static inline void sys_exit(int status)
{
	for (;;)
		call(__NR_exit_group, status, 0, 0, 0, 0, 0);
}

static inline long sys_read(long fd, void *into, unsigned long size)
{
	return call(__NR_read, fd, (long)into, size, 0, 0, 0);
}

static inline long sys_write(long fd, const void *from, unsigned long size)
{
	return call(__NR_write, fd, (long)from, size, 0, 0, 0);
}

static inline long sys_close(long fd)
{
	return call(__NR_close, fd, 0, 0, 0, 0, 0);
}

static inline long sys_rewind(long fd)
{
	return call(__NR_lseek, fd, 0, 0, 0, 0, 0);
}

static inline long sys_dup_to(long fd, long to)
{
	return fd == to ? 0 : call(__NR_dup3, fd, to, 0, 0, 0, 0);
}

static inline long sys_memfd_create(const char *name)
{
	return call(__NR_memfd_create, (long)name, MFD_CLOEXEC, 0, 0, 0, 0);
}

static inline long sys_readlink(const char *path, char *into, unsigned long size)
{
	return call(__NR_readlinkat, -100, (long)path, (long)into, size, 0, 0); /* AT_FDCWD */
}

static inline long sys_execve(const char *path, char **argv, char **envp)
{
	return call(__NR_execve, (long)path, (long)argv, (long)envp, 0, 0, 0);
}

/* No call on it blocks, as connect(2) does to a service that accepts no more clients. */
static inline long sys_socket(void)
{
	return call(__NR_socket, AF_UNIX, STREAM | O_CLOEXEC | O_NONBLOCK, 0, 0, 0, 0);
}

static inline long sys_connect(long fd, const void *to, unsigned long size)
{
	return call(__NR_connect, fd, (long)to, size, 0, 0, 0);
}

static inline long sys_peer(long fd, struct peer *into)
{
	unsigned int size = sizeof(*into);

	return call(__NR_getsockopt, fd, SOL_SOCKET, SO_PEERCRED, (long)into, (long)&size, 0);
}

/* Waits until a file descriptor is ready for events (poll(2)) or has ended. Returns 0 after a time. */
static int wait_for(long fd, short events, int ms)
{
	struct pollfd wanted = {.fd = fd, .events = events};
	struct __kernel_timespec most = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};

	return call(__NR_ppoll, (long)&wanted, 1, (long)&most, 0, 0, 0) == 1;
}

static unsigned long length(const char *text)
{
	unsigned long n = 0;

	while (text[n])
		n++;
	return n;
}

static void copy(char *to, const char *from, unsigned long size)
{
	for (unsigned long i = 0; i < size; i++)
		to[i] = from[i];
}

static int begins(const char *text, const char *with)
{
	while (*with)
		if (*text++ != *with++)
			return 0;
	return 1;
}

/* Writes a number in the machine's order of bytes, as Go's binary.NativeEndian. */
static void put_word(char *to, unsigned int number)
{
	copy(to, (const char *)&number, sizeof(number));
}

static int write_all(long fd, const char *from, unsigned long size)
{
	while (size > 0) {
		long n = sys_write(fd, from, size);

		if (n <= 0)
			return 0;
		from += n;
		size -= n;
	}
	return 1;
}

/* As write_all, for a socket: no signal if the other side has ended, and no longer than a time for each part. */
static int send_all(long fd, const char *from, unsigned long size, int ms)
{
	while (size > 0) {
		long n = call(__NR_sendto, fd, (long)from, size, MSG_NOSIGNAL, 0, 0);

		if (n == -EAGAIN && wait_for(fd, POLLOUT, ms))
			continue;
		if (n <= 0)
			return 0;
		from += n;
		size -= n;
	}
	return 1;
}
