// Package api serves the agent's state and actions over its unix socket, as HTTP and JSON,
// so that `curl --unix-socket` works too.
//
// It authorises requests: any process that may connect can read, only root can change. A
// [Backend] answers them. Its other half is berth/agent/client.
package api
