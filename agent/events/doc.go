// Package events keeps the last events of the agent and hands them to those
// who follow.
//
// It does not make events and does not write them anywhere: what is kept is
// gone with the agent, the counters in the kernel are not. It imports only
// berth/specs.
package events
