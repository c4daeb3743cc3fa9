package trust

import (
	"fmt"
	"os"
)

// keyLog is a file that sessions' keys are appended to (RFC 9850). It is opened for each: a tunnel
// runs long, and somebody may move the file away.
type keyLog string

func (k keyLog) Write(p []byte) (int, error) {
	f, err := os.OpenFile(string(k), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, fmt.Errorf("keys cannot be written to %s: %w", pathText(string(k)), withoutPath(err))
	}
	n, err := f.Write(p)
	if e := f.Close(); err == nil {
		err = e
	}
	return n, err
}

func (c *Config) loadKeyLog(s *Settings) error {
	if s.KeyLog == "" {
		return nil
	}
	if _, err := keyLog(s.KeyLog).Write(nil); err != nil {
		return fmt.Errorf("--keylog or SSLKEYLOGFILE: %w", err)
	}
	c.shared.KeyLogWriter = keyLog(s.KeyLog)
	return nil
}
