package half

import (
	"math"
	"testing"
)

// The values are those of IEEE 754-2019 binary16 (and of the table in Wikipedia's "Half-precision floating-point format").
func TestFromF16(t *testing.T) {
	t.Parallel()
	for h, want := range map[uint16]float32{
		0x0000: 0, 0x0001: 0x1p-24, 0x03ff: 1023 * 0x1p-24, 0x0400: 0x1p-14, 0x3555: 0.333251953125, 0x3bff: 0.99951171875,
		0x3c00: 1, 0x3c01: 1.0009765625, 0x7bff: 65504, 0xc000: -2, 0x7c00: float32(math.Inf(1)), 0xfc00: float32(math.Inf(-1)),
	} {
		if got := FromF16(h); got != want {
			t.Errorf("FromF16(%#04x) = %v, want %v", h, got, want)
		}
	}
	if got := FromF16(0x8000); got != 0 || !math.Signbit(float64(got)) {
		t.Errorf("FromF16(0x8000) = %v, want -0", got)
	}
}

// Every value comes back as itself; what lies between two neighbours goes to the nearer, halfway to the even one.
func TestRounding(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		from func(uint16) float32
		to   func(float32) uint16
		last uint16 // the largest finite value
	}{
		{"F16", FromF16, ToF16, 0x7bff},
		{"BF16", FromBF16, ToBF16, 0x7f7f},
	} {
		for h := range 1 << 16 {
			h := uint16(h)
			f := c.from(h)
			back := c.to(f)
			if f != f {
				if g := c.from(back); g == g || back&0x8000 != h&0x8000 {
					t.Fatalf("%s: NaN %#04x came back as %#04x", c.name, h, back)
				}
				continue
			}
			if back != h {
				t.Fatalf("%s: %#04x (%v) came back as %#04x", c.name, h, f, back)
			}
			if h >= c.last {
				continue
			}
			next := c.from(h + 1)
			mid := float32((float64(f) + float64(next)) / 2)
			even := h + h&1
			if got := c.to(mid); got != even {
				t.Fatalf("%s: %v, between %#04x and the next, went to %#04x, want %#04x", c.name, mid, h, got, even)
			}
			if got := c.to(math.Nextafter32(mid, f)); got != h {
				t.Fatalf("%s: just below halfway went to %#04x, want %#04x", c.name, got, h)
			}
			if got := c.to(math.Nextafter32(mid, next)); got != h+1 {
				t.Fatalf("%s: just above halfway went to %#04x, want %#04x", c.name, got, h+1)
			}
		}
	}
	for f, want := range map[float32]uint16{65519: 0x7bff, 65520: 0x7c00, 1e30: 0x7c00, -1e30: 0xfc00, 0x1p-26: 0, -0x1p-26: 0x8000} {
		if got := ToF16(f); got != want {
			t.Errorf("ToF16(%v) = %#04x, want %#04x", f, got, want)
		}
	}
}

func TestDecode(t *testing.T) {
	t.Parallel()
	src := []byte{0x00, 0x3c, 0x00, 0xc0, 0x80, 0x3f, 0, 0}
	got := make([]float32, 2)
	if DecodeF16(got, src); got[0] != 1 || got[1] != -2 {
		t.Errorf("DecodeF16 = %v", got)
	}
	if DecodeBF16(got[:1], src[4:]); got[0] != 1 {
		t.Errorf("DecodeBF16 = %v", got[0])
	}
	if DecodeF32(got[:1], []byte{0, 0, 0x80, 0x3f}); got[0] != 1 {
		t.Errorf("DecodeF32 = %v", got[0])
	}
}
