package cni

import (
	"testing"

	"berth/specs"
)

// FuzzArguments requires that CNI_ARGS are refused or result in valid requests.
func FuzzArguments(f *testing.F) {
	for _, text := range []string{"", "IgnoreUnknown=1;IP=192.0.2.7", "MAC=02:00:5e:00:53:01;MAC=02:00:5e:00:53:02", "K8S_POD_NAMESPACE=a;;K8S_POD_NAME==", "IP=,;="} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c := &specs.CNI{}
		if _, err := parseArguments(text, c); err != nil {
			if codeOf(err) != codeConfiguration {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		for _, ip := range c.IPs {
			if !specs.IsUnicast(ip.Addr) {
				t.Errorf("%q: address %s", text, ip)
			}
		}
	})
}

// FuzzResult requires that a previous result is refused, or can be written in every version.
func FuzzResult(f *testing.F) {
	for _, text := range []string{`{"cniVersion": "1.1.0", "ips": [{"address": "192.0.2.7/24", "interface": 0}], "interfaces": [{"name": "x"}]}`,
		`{"cniVersion": "0.3.1", "ips": [{"version": "4", "address": "192.0.2.7/24"}], "routes": [{"dst": "0.0.0.0/0"}]}`, `{"ips": [null]}`, `7`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, protocol := range Versions {
			r, err := parseResult([]byte(text), protocol)
			if err != nil {
				continue
			}
			if _, err := r.GetAsVersion(protocol); err != nil {
				t.Errorf("%s in version %s: %v", text, protocol, err)
			}
		}
	})
}
