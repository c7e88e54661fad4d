package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// quantile returns the value below which the given share of all values lies.
func quantile[T cmp.Ordered](all []T, share float64) T {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[min(int(share*float64(len(sorted))), len(sorted)-1)]
}

func median[T cmp.Ordered](all []T) T { return quantile(all, 0.5) }

func ms(d time.Duration) string { return fmt.Sprintf("%.2f ms", d.Seconds()*1000) }

func fold(ratio float64) string { return fmt.Sprintf("%.2f×", ratio) }

// ratio returns how many times longer a takes than b.
func ratio(a, b time.Duration) float64 { return float64(a) / float64(b) }

// pairs are pairs of measurements that were taken one right after the other.
type pairs struct{ with, without []float64 }

func (p *pairs) add(with bool, got float64) {
	if with {
		p.with = append(p.with, got)
	} else {
		p.without = append(p.without, got)
	}
}

// ratios returns the ratio of with to without for each pair.
func (p pairs) ratios() []float64 {
	all := make([]float64, len(p.with))
	for i := range all {
		all[i] = p.with[i] / p.without[i]
	}
	return all
}

// fastestRatio returns the ratio of the fastest tenths of two rates, which other work on the
// machine has touched least.
func (p pairs) fastestRatio() float64 {
	return quantile(p.with, 0.9) / quantile(p.without, 0.9)
}

// spread returns the middle half of the ratios.
func (p pairs) spread() string {
	r := p.ratios()
	return fmt.Sprintf("%.3f to %.3f", quantile(r, 0.25), quantile(r, 0.75))
}
