package network

import (
	"encoding/binary"
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

// verdictOf builds the payload of an NLMSG_ERROR or NLMSG_DONE.
func verdictOf(errno int32, echoed, attributes []byte) []byte {
	return append(append(binary.NativeEndian.AppendUint32(nil, uint32(-errno)), echoed...), attributes...)
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	why := attrString(unix.NLMSGERR_ATTR_MSG, "because").Serialize()
	request := make([]byte, 20)
	binary.NativeEndian.PutUint32(request, uint32(len(request)))
	for name, c := range map[string]struct {
		kind, flags uint16
		payload     []byte
		want        error
		text        string
	}{
		"acknowledged":        {unix.NLMSG_ERROR, unix.NLM_F_CAPPED, verdictOf(0, request[:16], nil), nil, ""},
		"empty end of a list": {unix.NLMSG_DONE, 0, nil, nil, ""},
		"end of a list":       {unix.NLMSG_DONE, 0, verdictOf(0, nil, nil), nil, ""},
		"error":               {unix.NLMSG_ERROR, 0, verdictOf(int32(unix.ENODEV), request, nil), unix.ENODEV, unix.ENODEV.Error()},
		"explained": {unix.NLMSG_ERROR, unix.NLM_F_ACK_TLVS, verdictOf(int32(unix.EINVAL), request, why),
			unix.EINVAL, unix.EINVAL.Error() + ": because"},
		"explained, request left out": {unix.NLMSG_ERROR, unix.NLM_F_ACK_TLVS | unix.NLM_F_CAPPED,
			verdictOf(int32(unix.EINVAL), request[:16], why), unix.EINVAL, unix.EINVAL.Error() + ": because"},
		"list that ends with an explained error": {unix.NLMSG_DONE, unix.NLM_F_ACK_TLVS,
			verdictOf(int32(unix.EINVAL), nil, why), unix.EINVAL, unix.EINVAL.Error() + ": because"},
		"cut short": {unix.NLMSG_ERROR, unix.NLM_F_ACK_TLVS, verdictOf(int32(unix.EPERM), request[:10], nil), unix.EPERM, unix.EPERM.Error()},
	} {
		err := parseVerdict(unix.NlMsghdr{Type: c.kind, Flags: c.flags}, c.payload)
		if !errors.Is(err, c.want) || err != nil && err.Error() != c.text {
			t.Errorf("%s: %v, want %q", name, err, c.text)
		}
	}
}

// FuzzMessages checks that for any input, no message and no verdict reads beyond
// it.
func FuzzMessages(f *testing.F) {
	message := func(kind uint16, payload ...byte) []byte {
		b := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(payload)))
		b = binary.NativeEndian.AppendUint16(b, kind)
		return append(append(b, make([]byte, 10)...), payload...)
	}
	f.Add(message(unix.NLMSG_DONE))
	f.Add(append(message(unix.RTM_NEWLINK, 1, 2, 3, 4), message(unix.NLMSG_ERROR, verdictOf(5, nil, nil)...)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		total := 0
		for h, payload := range messagesIn(b) {
			if total += int(h.Len); total > len(b) {
				t.Fatalf("messages of %d bytes in %d", total, len(b))
			}
			h.Flags |= unix.NLM_F_ACK_TLVS
			_ = parseVerdict(h, payload)
		}
	})
}
