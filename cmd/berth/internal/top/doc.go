// Package top is the terminal view of `berth top`: parents, endpoints with
// their traffic a second, and violations as they come.
//
// What is shown is a pure function of the messages that came: of keys, of the
// terminal's size, and of what the agent said ([Model]). Only source.go asks
// the agent, and only run.go has a terminal. All text of others is made safe
// in one place, [look.fit].
//
// It imports berth/agent/client, berth/specs and the packages beside it, and
// no other room.
package top
