package pools

import (
	"testing"

	"berth/internal/testnet"
)

func TestMain(m *testing.M) { testnet.Main(m) }
