package nri

import (
	"strings"

	"github.com/containerd/nri/pkg/api"
	runtime "github.com/opencontainers/runtime-spec/specs-go"

	"berth/hook"
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

// sandboxOf returns a pod as the hook's library takes it, and what it asks for.
// Of the pod's annotations berth's alone are read: the author of the pod may have
// written any other, and the names are those that the runtime gives.
func sandboxOf(pod *api.PodSandbox) (s hook.Sandbox, asked []specs.Selection, err error) {
	if asked, err = specs.ParseAnnotations(pod.GetAnnotations()); err != nil {
		return s, nil, err
	}
	s = hook.Sandbox{
		ID: pod.GetId(), Pid: int(pod.GetPid()), Namespace: pod.GetNamespace(),
		Names: map[string]string{podName: pod.GetName(), podNamespace: pod.GetNamespace(), podUID: pod.GetUid()},
	}
	s.NetNS, err = namespaceOf(pod)
	return s, asked, err
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
