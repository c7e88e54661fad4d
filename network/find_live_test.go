package network

import (
	"errors"
	"testing"

	"berth/internal/testnet"
)

func TestFindNamespace(t *testing.T) {
	t.Parallel()
	ns := testnet.Namespace(t)
	process := testnet.Process(t, ns)
	opened, err := OpenPID(process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	cookie, err := opened.Cookie()
	if err != nil {
		t.Fatal(err)
	}
	found, err := FindNamespace(cookie)
	if err != nil {
		t.Fatal(err)
	}
	defer found.Close()
	if same, err := found.Same(opened); err != nil || !same {
		t.Errorf("another namespace: %v", err)
	}
	if _, err := FindNamespace(1 << 63); !errors.Is(err, ErrNoNamespace) {
		t.Errorf("error %v of a cookie that nobody has", err)
	}
}
