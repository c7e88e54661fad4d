package main

import (
	"context"
	"net"
	"os"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"berth/internal/testnet"
)

// restore puts etcd back to a copy that is older than some claims. Each node has seen a much higher
// revision before, and writes its blocks again.
func (f *faults) restore() {
	f.endFaults()
	f.killEtcd()
	mustSucceed(f.t, os.RemoveAll(f.backup))
	mustSucceed(f.t, os.CopyFS(f.backup, os.DirFS(f.data)))
	f.startEtcd()
	for range 3 {
		f.startAll()
	}
	f.raise(3000)
	for _, n := range f.nodes { // reads etcd
		f.toggleAgent(n)
		f.toggleAgent(n)
	}
	f.endFaults()
	f.killEtcd()
	mustSucceed(f.t, os.RemoveAll(f.data))
	mustSucceed(f.t, os.CopyFS(f.data, os.DirFS(f.backup)))
	f.startEtcd()
	f.allSee("an older etcd", "the store is older than")
	f.startAll()
	f.mustBeUnique()
	f.raise(4000)
	f.endFaults()
}

// raise raises etcd's revision.
func (f *faults) raise(by int) {
	f.t.Helper()
	dial := func(_ context.Context, address string) (c net.Conn, err error) {
		testnet.In(f.t, f.lan, func() { c, err = net.Dial("tcp", address) })
		return c, err
	}
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{etcdURL}, Logger: zap.NewNop(),
		DialOptions: []grpc.DialOption{grpc.WithContextDialer(dial)}})
	mustSucceed(f.t, err)
	defer client.Close()
	ctx, cancel := context.WithTimeout(f.t.Context(), 2*time.Minute)
	defer cancel()
	for range by {
		_, err := client.Put(ctx, "raise", "")
		mustSucceed(f.t, err)
	}
}
