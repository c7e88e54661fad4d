package nri

import (
	"fmt"
	"strings"

	"github.com/containerd/nri/pkg/api"
	runtime "github.com/opencontainers/runtime-spec/specs-go"

	"berth/hook"
	"berth/specs"
)

// Annotations by which the records name a pod. CRI-O's keys are used for every runtime, as
// package hook and the agent read them.
const (
	podName      = "io.kubernetes.pod.name"
	podNamespace = "io.kubernetes.pod.namespace"
	podUID       = "io.kubernetes.pod.uid"
)

// hasAnnotations reports whether a pod has annotations of berth's.
func hasAnnotations(pod *api.PodSandbox) bool {
	for key := range pod.GetAnnotations() {
		if strings.HasPrefix(key, specs.Prefix) {
			return true
		}
	}
	return false
}

// sandboxOf returns a pod in the form of the hook's library, and its requested interfaces.
// It reads only berth's annotations: the pod's author may have written any other, and the
// names come from the runtime.
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

// namespaceOf returns the path of a pod's network namespace. It is "" if the runtime
// reports none, as for a pod in the host's network: then the namespace is that of the
// sandbox's process.
func namespaceOf(pod *api.PodSandbox) (string, error) {
	for _, ns := range pod.GetLinux().GetNamespaces() {
		if ns.GetType() == string(runtime.NetworkNamespace) && ns.GetPath() != "" {
			return ns.GetPath(), nil
		}
	}
	if pod.GetPid() == 0 {
		return "", fmt.Errorf("pod %q has no network namespace of its own; remove hostNetwork",
			pod.GetNamespace()+"/"+pod.GetName())
	}
	return "", nil
}
