package sys

import (
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"unsafe"
)

// memoryOf returns the memory of a value of size bytes: behind a pointer, of a slice's
// elements, or of a copy of any other value.
func memoryOf(value any, size int) (pointer, error) {
	v := reflect.ValueOf(value)
	has := 0
	switch v.Kind() {
	case reflect.Pointer:
		has = int(v.Type().Elem().Size())
	case reflect.Slice:
		has = v.Len() * int(v.Type().Elem().Size())
	default:
		own := reflect.New(v.Type())
		own.Elem().Set(v)
		v, has = own, int(v.Type().Size())
	}
	if has != size || has == 0 {
		return nil, fmt.Errorf("%T has %d bytes: want %d, those of the map", value, has, size)
	}
	return v.UnsafePointer(), nil
}

// bytesAt returns memory as bytes.
func bytesAt(p pointer, n int) []byte { return unsafe.Slice((*byte)(p), n) }

func (m *Map) keyMemory(key any) (pointer, error) {
	p, err := memoryOf(key, int(m.info.key))
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	return p, nil
}

// resultMemory returns the memory for a value to be read. It makes a slice as long as needed.
func (m *Map) resultMemory(value any) (pointer, error) {
	size := m.wholeValue()
	v := reflect.ValueOf(value)
	switch {
	case v.Kind() == reflect.Pointer && v.Elem().Kind() == reflect.Slice:
		slice := v.Elem()
		n := size / int(slice.Type().Elem().Size())
		slice.Set(reflect.MakeSlice(slice.Type(), n, n))
		value = slice.Interface()
	case v.Kind() != reflect.Pointer && v.Kind() != reflect.Slice:
		return nil, fmt.Errorf("%T: want a pointer, to read into it", value)
	}
	p, err := memoryOf(value, size)
	if err != nil {
		return nil, fmt.Errorf("value: %w", err)
	}
	return p, nil
}

// The types of maps with a value for each processor (enum bpf_map_type).
var perCPU = [...]uint32{5, 6, 10, 21} // hash, array, LRU hash, cgroup storage

// wholeValue returns the size of the value that a call copies: for each processor, rounded
// up to 8 bytes, if each has its own (kernel/bpf/syscall.c: bpf_map_value_size).
func (m *Map) wholeValue() int {
	for _, kind := range perCPU {
		if m.info.kind != kind {
			continue
		}
		cpus, err := PossibleCPU()
		if err != nil {
			return 0 // no value has that size
		}
		return int(m.info.value+7) &^ 7 * cpus
	}
	return int(m.info.value)
}

// PossibleCPU returns the number of processors that the machine could have.
var PossibleCPU = sync.OnceValues(func() (int, error) {
	const file = "/sys/devices/system/cpu/possible"
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	n, err := countCPUs(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("%s: %w", file, err)
	}
	return n, nil
})

// countCPUs parses "0" or "0-N". The kernel numbers its possible processors without gaps
// (bpf_map_value_size relies on num_possible_cpus).
func countCPUs(text string) (int, error) {
	first, last, isRange := strings.Cut(text, "-")
	if !isRange {
		last = first
	}
	n, err := strconv.Atoi(last)
	if err != nil || first != "0" || n < 0 {
		return 0, fmt.Errorf("processors %q: want a range from 0", text)
	}
	return n + 1, nil
}
