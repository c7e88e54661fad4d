package nri

import (
	"strings"

	"github.com/containerd/nri/pkg/api"
	runtime "github.com/opencontainers/runtime-spec/specs-go"

	"berth/specs"
)

// Annotations by which the records name a pod. CRI-O's are taken for every
// runtime: package hook and the agent know them.
const (
	podName      = "io.kubernetes.pod.name"
	podNamespace = "io.kubernetes.pod.namespace"
	podUID       = "io.kubernetes.pod.uid"
)

// asks reports whether a pod has annotations of berth's.
func asks(pod *api.PodSandbox) bool {
	for key := range pod.GetAnnotations() {
		if strings.HasPrefix(key, specs.Prefix) {
			return true
		}
	}
	return false
}

// stateOf returns a pod as the hook's library knows a container. Of the pod's
// annotations berth's alone are taken: what else stands there its author may
// have written, and the names are the runtime's word.
func stateOf(pod *api.PodSandbox) *runtime.State {
	st := &runtime.State{ID: pod.GetId(), Pid: int(pod.GetPid()), Annotations: map[string]string{
		podName: pod.GetName(), podNamespace: pod.GetNamespace(), podUID: pod.GetUid(),
	}}
	for key, value := range pod.GetAnnotations() {
		if strings.HasPrefix(key, specs.Prefix) {
			st.Annotations[key] = value
		}
	}
	return st
}

// namespaceOf returns the path of a pod's network namespace. It is "" where
// the runtime names none, as of a pod in the host's network: then the
// namespace is that of the sandbox's process.
func namespaceOf(pod *api.PodSandbox) (string, error) {
	for _, ns := range pod.GetLinux().GetNamespaces() {
		if ns.GetType() == string(runtime.NetworkNamespace) && ns.GetPath() != "" {
			return ns.GetPath(), nil
		}
	}
	if pod.GetPid() == 0 {
		return "", specs.Invalid("pod", pod.GetNamespace()+"/"+pod.GetName(),
			"a network namespace of its own, of which the runtime tells the path: there is none (start it without hostNetwork)")
	}
	return "", nil
}
