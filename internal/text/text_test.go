package text

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestPrintable(t *testing.T) {
	for s, want := range map[string]string{
		"web-0":             "web-0",
		"zwölf 網":           "zwölf 網",
		"\x1b[31mred\x1b[m": "�[31mred�[m",
		"a\nb\tc\x00":       "a�b�c�",
		"evil\u202egnp":     "evil�gnp", // right-to-left override
		"broken \xff":       "broken �",

		"\U0001F1E9\U0001F1EA":  "DE", // a flag
		"❤\ufe0f 1\ufe0f\u20e3": "❤ 1\u20e3",
		"👍\U0001F3FD 🚀":         "👍 🚀",
		"👨\u200d👩":              "👨�👩", // a zero width joiner
	} {
		if got := Printable(s); got != want {
			t.Errorf("Printable(%q) = %q, want %q", s, got, want)
		}
	}
}

func TestShortID(t *testing.T) {
	hex := strings.Repeat("0123456789abcdef", 4)
	for id, want := range map[string]string{
		hex: "0123456789ab", "": "", "web": "web", hex[:63]: hex[:63], hex[:63] + "g": hex[:63] + "g",
	} {
		if got := ShortID(id); got != want {
			t.Errorf("ShortID(%q) = %q, want %q", id, got, want)
		}
	}
}

func TestNumbers(t *testing.T) {
	for n, want := range map[uint64][2]string{
		0:              {"0 B", "0"},
		999:            {"999 B", "999"},
		1000:           {"1.00 kB", "1.00k"},
		9994:           {"9.99 kB", "9.99k"},
		9995:           {"10.0 kB", "10.0k"},
		999_499:        {"999 kB", "999k"},
		999_500:        {"1.00 MB", "1.00M"},
		1_234_567_890:  {"1.23 GB", "1.23G"},
		^uint64(0):     {"18.4 EB", "18.4E"},
		25_000_000_000: {"25.0 GB", "25.0G"},
	} {
		if got := Bytes(n); got != want[0] {
			t.Errorf("Bytes(%d) = %q, want %q", n, got, want[0])
		}
		if got := Number(n); got != want[1] || utf8.RuneCountInString(got) > 5 {
			t.Errorf("Number(%d) = %q, want %q", n, got, want[1])
		}
	}
}
