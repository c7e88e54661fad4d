// Package client sends requests to a running agent over its unix socket, as HTTP and JSON.
//
// It is small, for command-line programs: it imports only the standard library and
// berth/specs, and never starts an agent.
package client
