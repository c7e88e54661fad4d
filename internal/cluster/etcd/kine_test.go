package etcd

import (
	"context"
	"errors"
	"net"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
)

// imitation answers as kine does: its headers have no cluster id, and a lease's id is its
// time.
type imitation struct {
	pb.UnimplementedKVServer
	pb.UnimplementedLeaseServer
}

func (imitation) Txn(_ context.Context, r *pb.TxnRequest) (*pb.TxnResponse, error) {
	answer := &pb.TxnResponse{Header: &pb.ResponseHeader{Revision: 7}, Succeeded: true}
	for range r.Success {
		answer.Responses = append(answer.Responses, &pb.ResponseOp{Response: &pb.ResponseOp_ResponseRange{
			ResponseRange: &pb.RangeResponse{Header: &pb.ResponseHeader{Revision: 7}}}})
	}
	return answer, nil
}

func (imitation) LeaseGrant(_ context.Context, r *pb.LeaseGrantRequest) (*pb.LeaseGrantResponse, error) {
	return &pb.LeaseGrantResponse{Header: &pb.ResponseHeader{}, ID: r.TTL, TTL: r.TTL}, nil
}

// TestKine checks that a server that imitates etcd is refused by each request.
func TestKine(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	pb.RegisterKVServer(server, imitation{})
	pb.RegisterLeaseServer(server, imitation{})
	go server.Serve(l)
	t.Cleanup(server.Stop)
	s, err := Open(Config{Endpoints: []string{"http://" + l.Addr().String()}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.List(t.Context(), "a", "b"); !errors.Is(err, ErrNotEtcd) {
		t.Errorf("List: %v, want ErrNotEtcd", err)
	}
	if _, err := s.Swap(t.Context(), put("a", "1", 0)); !errors.Is(err, ErrNotEtcd) {
		t.Errorf("Swap: %v, want ErrNotEtcd", err)
	}
	if err := s.Present(t.Context(), "alive/a", nil); !errors.Is(err, ErrNotEtcd) {
		t.Errorf("Present: %v, want ErrNotEtcd", err)
	}
}
