package sys

import (
	"testing"

	"berth/internal/testnet"
)

func TestMain(m *testing.M) { testnet.Main(m) }
