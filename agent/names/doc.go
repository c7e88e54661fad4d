// Package names asks engines what they call a container: containerd by its
// API, docker and podman (and CRI-O) by the files that they keep.
//
// An [Enricher] is one engine; [Ask] joins what several say. Nothing here
// remembers: whoever asks keeps the answer. What an engine's annotations say
// is not read here, see package agent. Of berth it imports internal/state.
package names
