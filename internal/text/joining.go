package text

import "unicode"

// joining are the code points, beside spacing marks (Mc), with which a code point that has a width
// of its own can be in the middle or at the end of a grapheme cluster, by the rules GB6 to GB9c of
// Unicode Standard Annex 29.
var joining = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x094d, Hi: 0x094d, Stride: 1}, // a virama joins the consonants at its sides
		{Lo: 0x09cd, Hi: 0x09cd, Stride: 1},
		{Lo: 0x0acd, Hi: 0x0acd, Stride: 1},
		{Lo: 0x0b4d, Hi: 0x0b4d, Stride: 1},
		{Lo: 0x0c4d, Hi: 0x0c4d, Stride: 1},
		{Lo: 0x0d4d, Hi: 0x0d4e, Stride: 1},
		{Lo: 0x0e33, Hi: 0x0e33, Stride: 1}, // sara am of Thai and Lao
		{Lo: 0x0eb3, Hi: 0x0eb3, Stride: 1},
		{Lo: 0x1039, Hi: 0x1039, Stride: 1},
		{Lo: 0x1100, Hi: 0x11ff, Stride: 1}, // parts of a syllable of Hangul
		{Lo: 0x17d2, Hi: 0x17d2, Stride: 1},
		{Lo: 0x1a60, Hi: 0x1a60, Stride: 1},
		{Lo: 0x1bab, Hi: 0x1bab, Stride: 1},
		{Lo: 0xa960, Hi: 0xa97c, Stride: 1},
		{Lo: 0xaaf6, Hi: 0xaaf6, Stride: 1},
		{Lo: 0xd7b0, Hi: 0xd7fb, Stride: 1},
		{Lo: 0xff9e, Hi: 0xff9f, Stride: 1}, // halfwidth sound marks of Katakana
	},
	R32: []unicode.Range32{
		{Lo: 0x10a3f, Hi: 0x10a3f, Stride: 1},
		{Lo: 0x11133, Hi: 0x11133, Stride: 1},
		{Lo: 0x111c2, Hi: 0x111c3, Stride: 1}, // jihvamuliya and its like precede a letter
		{Lo: 0x113d0, Hi: 0x113d1, Stride: 1},
		{Lo: 0x1193e, Hi: 0x11941, Stride: 1},
		{Lo: 0x11a47, Hi: 0x11a47, Stride: 1},
		{Lo: 0x11a84, Hi: 0x11a89, Stride: 1},
		{Lo: 0x11a99, Hi: 0x11a99, Stride: 1},
		{Lo: 0x11d46, Hi: 0x11d46, Stride: 1},
		{Lo: 0x11f02, Hi: 0x11f02, Stride: 1},
		{Lo: 0x11f42, Hi: 0x11f42, Stride: 1},
	},
}
