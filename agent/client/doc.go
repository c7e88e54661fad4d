// Package client sends requests to a running agent over its unix socket, as HTTP and JSON.
//
// A [Client] has a method for each request; Events follows the stream of events.
//
// It is small, for command-line programs: it imports only the standard library and
// berth/specs, and never starts an agent.
package client
