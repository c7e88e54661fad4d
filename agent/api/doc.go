// Package api serves what the agent knows and does over its unix socket, as
// HTTP and JSON, so that `curl --unix-socket` works too.
//
// It decides who may ask: whoever may connect reads, only root changes. What
// is asked is answered by a [Backend]. Its other half is berth/agent/client.
package api
