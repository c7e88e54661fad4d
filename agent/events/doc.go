// Package events keeps the agent's last events and serves them to readers.
//
// A [Ring] has the last events. A [Limiter] decides which ones enter it.
//
// It does not create events and stores none: they are lost with the agent, unlike the
// counters in the kernel. It imports only berth/specs.
package events
