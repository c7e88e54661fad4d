package resident

// An Answer is the result of a request. The zero value means that the work is done.
type Answer struct {
	// Declined means that nothing was done: the client then does the work by itself.
	Declined bool
	// Err is reported by the client, which ends with Status, 0 or 1.
	Err    error
	Status int
}

// The bytes by which the service answers (client/client.c). An error is followed by its text.
const (
	ready    = 'R' // it takes requests: the client may write its own
	alive    = '.' // the work goes on
	done     = 'D'
	declined = 'N'
)

// maxText is the length of an error's text, in bytes, that a client gets.
const maxText = 64 << 10

// encode returns the bytes of an answer.
func (a Answer) encode() []byte {
	switch {
	case a.Declined:
		return []byte{declined}
	case a.Err == nil:
		return []byte{done}
	}
	text := a.Err.Error()
	return append([]byte{byte('0' + a.Status)}, text[:min(len(text), maxText)]...)
}
