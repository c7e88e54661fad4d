/* SPDX-License-Identifier: Apache-2.0 */
/*
 * berth-hook-client: hands the arguments and the container's state to the resident
 * berth-hook (engine/resident), and waits for its answer. If there is none, or if it
 * declines, this program executes the berth-hook beside it, with the same arguments and
 * the same state. So a container starts with or without the service, and all rules are
 * in berth-hook.
 *
 * It is no program of Go and has no C library, because the start of either takes longer
 * than the service takes for an attach.
 */
#include <linux/un.h>

#include "kernel.h"

enum {
	HEADER = 8,		  /* two words: the sizes of the arguments and of the state */
	MAX_ARGS = 16 << 10,	  /* bytes; MaxArgs of engine/resident */
	MAX_STATE = (1 << 20) + 1, /* bytes; one more than berth-hook accepts, so that it refuses */
	READY_MS = 1000,	  /* for the service to accept; it takes less than 1, or waits for a processor */
	ALIVE_MS = 8 * 1000,	  /* between two signs of life, sent every 2 s; then berth-hook has 20 s of the 30 */
	STDIN_MS = 20 * 1000,	  /* for the runtime to write; berth-hook waits as long */
};

/* The answers of the service (engine/resident, answer.go). */
enum {
	READY = 'R',
	ALIVE = '.',
	DONE = 'D',
	DECLINED = 'N',
};

/* Memory that is not used costs nothing: the kernel gives it page by page. */
static char message[HEADER + MAX_ARGS + MAX_STATE];

/* The arguments and environment of this process, and the state that it has read. */
struct run {
	char **argv, **envp;
	const char *state;
	unsigned long size;
};

/* Writes a message to standard error, and ends the process as failed. */
static void fail(const char *why, const char *what)
{
	const char *parts[] = {"berth-hook-client: ", why, ": ", what, "\n"};

	for (unsigned int i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		sys_write(2, parts[i], length(parts[i]));
	sys_exit(1);
}

/* Replaces standard input by a file in memory, so that it can be read once more. */
static void refill(const char *text, unsigned long size)
{
	long fd = sys_memfd_create("state");

	if (fd < 0 || !write_all(fd, text, size) || sys_rewind(fd) < 0 || sys_dup_to(fd, 0) < 0)
		fail("cannot keep the container's state for berth-hook", "no memory or no file descriptors");
}

/* Executes the berth-hook in the directory of this program. */
static void execute(char **argv, char **envp)
{
	static const char name[] = "berth-hook";
	static char path[4096]; /* PATH_MAX */
	long size = sys_readlink("/proc/self/exe", path, sizeof(path) - sizeof(name));

	if (size <= 0)
		fail("cannot find berth-hook", "/proc/self/exe is not readable");
	while (size > 0 && path[size - 1] != '/')
		size--;
	copy(path + size, name, sizeof(name));
	sys_execve(path, argv, envp);
	fail("cannot execute berth-hook, which must be beside this program", path);
}

/* Does the work in this process instead of the service. */
static void run_here(const struct run *r)
{
	if (r->size > 0)
		refill(r->state, r->size);
	execute(r->argv, r->envp);
}

/* Lets berth-hook report an error of the service, and end with the status '0' or '1'. */
static void report(long service, char status, char **envp)
{
	char text[] = {status, 0};
	char *argv[] = {"berth-hook", "report", text, 0};
	unsigned long size = 0;
	long n;

	while (size < sizeof(message) && wait_for(service, POLLIN, ALIVE_MS)) {
		n = sys_read(service, message + size, sizeof(message) - size);
		if (n <= 0)
			break;
		size += n;
	}
	refill(message, size);
	execute(argv, envp);
}

/* Returns the value of the argument --state, or its default. */
static const char *state_dir(char **argv)
{
	const char *dir = "/run/berth"; /* config.DefaultState */

	for (char **arg = argv + 1; argv[0] && *arg; arg++) {
		const char *name = *arg;

		if (name[0] != '-')
			continue;
		name += name[1] == '-' ? 2 : 1;
		if (!begins(name, "state"))
			continue;
		if (name[5] == '=')
			dir = name + 6;
		else if (!name[5] && arg[1])
			dir = *++arg;
	}
	return dir;
}

/* Connects to the service. Returns its socket, or an error of the kernel. */
static long connect_service(char **argv)
{
	static const char name[] = "/hook.sock";
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	const char *dir = state_dir(argv);
	unsigned long size = length(dir);
	long fd, err;

	if (size + sizeof(name) > sizeof(to.sun_path))
		return -1;
	copy(to.sun_path, dir, size);
	copy(to.sun_path + size, name, sizeof(name));
	fd = sys_socket();
	if (fd < 0)
		return fd;
	err = sys_connect(fd, &to, sizeof(to));
	return err < 0 ? err : fd;
}

/* Reports whether root listens on a socket: another user could only claim to have done the work. */
static int root_listens(long service)
{
	struct peer who = {.uid = -1};

	return sys_peer(service, &who) == 0 && who.uid == 0;
}

/* Returns the next byte of a file descriptor, or 0 at its end or after a time. */
static char next_byte(long fd, int ms)
{
	char answer = 0;

	if (wait_for(fd, POLLIN, ms) && sys_read(fd, &answer, 1) == 1)
		return answer;
	return 0;
}

/* Appends the arguments to the message. Returns their size, or 0 if they are too long. */
static unsigned long pack_args(char **argv)
{
	unsigned long size = 0;

	for (char **arg = argv; *arg; arg++) {
		unsigned long more = length(*arg) + 1;

		if (more > MAX_ARGS - size)
			return 0;
		copy(message + HEADER + size, *arg, more);
		size += more;
	}
	return size;
}

/* Reads standard input to its end. */
static void read_state(struct run *r, char *into)
{
	long n;

	r->state = into;
	while (r->size < MAX_STATE) {
		if (!wait_for(0, POLLIN, STDIN_MS))
			fail("no end of file on standard input within 20 s", "the caller must close it after the state");
		n = sys_read(0, into + r->size, MAX_STATE - r->size);
		if (n <= 0)
			return;
		r->size += n;
	}
}

static void start(char **argv, char **envp)
{
	struct run r = {.argv = argv, .envp = envp};
	unsigned long args = pack_args(argv);
	long service = args ? connect_service(argv) : -1;
	char answer;

	if (service < 0 || !root_listens(service) || next_byte(service, READY_MS) != READY)
		run_here(&r);
	read_state(&r, message + HEADER + args);
	put_word(message, args);
	put_word(message + 4, r.size);
	if (!send_all(service, message, HEADER + args + r.size, ALIVE_MS))
		run_here(&r);
	do
		answer = next_byte(service, ALIVE_MS);
	while (answer == ALIVE);
	if (answer == DONE)
		sys_exit(0);
	if (answer == '0' || answer == '1')
		report(service, answer, envp);
	sys_close(service); /* if the service lives, it undoes its work */
	run_here(&r);
}

/* The kernel's start of a process: the number of arguments, these, 0, and the environment. */
__attribute__((noreturn, used)) void start_of_stack(unsigned long *stack)
{
	char **argv = (char **)(stack + 1);

	start(argv, argv + stack[0] + 1);
	sys_exit(1);
}
