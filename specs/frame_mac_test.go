package specs

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestFrameMACAcceptsAnyAddress(t *testing.T) {
	for text, want := range map[string]FrameMAC{
		"02:00:5e:00:53:01": {2, 0, 0x5e, 0, 0x53, 1},
		"ff:ff:ff:ff:ff:ff": {0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"01:00:5e:00:00:01": {1, 0, 0x5e, 0, 0, 1},
		"00:00:00:00:00:00": {},
	} {
		var got FrameMAC
		if err := json.Unmarshal([]byte(`"`+text+`"`), &got); err != nil || got != want {
			t.Errorf("%s: %s, %v", text, got, err)
		}
		if out, err := json.Marshal(want); err != nil || string(out) != `"`+text+`"` {
			t.Errorf("%s is written as %s, %v", text, out, err)
		}
	}
	for _, text := range []string{"", "02:00:5e:00:53", "02:00:5e:00:53:01:00:00", "web"} {
		err := new(FrameMAC).UnmarshalText([]byte(text))
		if err == nil || !strings.Contains(err.Error(), "six octets") {
			t.Errorf("%q: error %v, want one about six octets", text, err)
		}
	}
}
