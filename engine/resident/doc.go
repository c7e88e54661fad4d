// Package resident is berth-hook as a service: it attaches and releases containers at the
// requests of berth-hook-client, which engines may run instead of berth-hook. A process of Go
// takes longer to start than an attach takes, and the client is no program of Go (client/client.c).
//
// [Server] has the entry, Serve: it answers the clients on a socket. [Listen] returns the socket.
// The work of a request is the caller's function; package main of cmd/berth-hook passes the same
// function that a run of berth-hook calls. The client executes berth-hook itself if no service
// answers, if the service ends on the way, or if it declines, so no rule depends on the service.
//
// The package passes arguments and states on without reading them. It imports no other room of
// berth's, and not package net, whose initialisation each run of berth-hook would pay.
package resident

//go:generate ./client/build.sh client
