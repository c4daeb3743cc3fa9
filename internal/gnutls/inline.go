package gnutls

import "bytes"

// A Command stands in a line of the input, between two of the characters of
// --inline-commands-prefix.
type Command string

// The commands of --inline-commands.
const (
	Resume      Command = "resume"      // begin another session with the keys of this one
	Renegotiate Command = "renegotiate" // shake hands again
	Rekey       Command = "rekey"       // both sides take new keys
	RekeyLocal  Command = "rekey1"      // this side does
)

var commands = []Command{Resume, Renegotiate, Rekey, RekeyLocal}

// Inline finds commands in an input.
type Inline struct {
	Prefix byte // that stands around a command

	held []byte // the beginning of what may become a command
	mid  bool   // in the middle of a line
}

// Take takes a piece of the input. It calls send with what is no command, and run with each command, in
// their order, and stops at the first error. What may become a command is held back.
func (i *Inline) Take(b []byte, send func([]byte) error, run func(Command) error) error {
	text := append(i.held, b...)
	i.held = nil
	for len(text) > 0 {
		at := i.candidate(text)
		if at > 0 {
			if err := send(text[:at]); err != nil {
				return err
			}
			i.mid = text[at-1] != '\n'
			text = text[at:]
			continue
		}
		command, length, whole := i.command(text)
		switch {
		case whole:
			if err := run(command); err != nil {
				return err
			}
			text = text[length:]
		case length > 0:
			i.held = bytes.Clone(text)
			return nil
		default:
			i.mid = true
		}
	}
	return nil
}

// Rest returns what was held back, at the end of the input.
func (i *Inline) Rest() []byte {
	rest := i.held
	i.held = nil
	return rest
}

// candidate returns where in text the first line with the prefix begins: its length if there is none.
func (i *Inline) candidate(text []byte) int {
	if !i.mid && text[0] == i.Prefix {
		return 0
	}
	if at := bytes.Index(text, []byte{'\n', i.Prefix}); at >= 0 {
		return at + 1
	}
	return len(text)
}

// command reads a command at the beginning of text, and its length there. If text is only the beginning
// of one, whole is false and the length not 0.
func (i *Inline) command(text []byte) (c Command, length int, whole bool) {
	for _, c := range commands {
		for _, end := range []string{"\n", "\r\n"} {
			line := string(i.Prefix) + string(c) + string(i.Prefix) + end
			switch {
			case bytes.HasPrefix(text, []byte(line)):
				return c, len(line), true
			case bytes.HasPrefix([]byte(line), text):
				length = len(text)
			}
		}
	}
	return "", length, false
}
