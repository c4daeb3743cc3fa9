package gnutls

import (
	"crypto/tls"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Compatible is the version of gnutls-cli that this is like.
const Compatible = "3.8.0"

// WriteHelp writes how the program is used. Options that can't be used are left out.
func WriteHelp(w io.Writer) {
	fmt.Fprintf(w, "%s - GnuTLS client\nUsage:  %s [ -<flag> [<val>] | --<name>[{=| }<val>] ]... [hostname]\n\n", Name, Name)
	for _, o := range Options {
		if o.Standing != Works {
			continue
		}
		short := "    "
		if o.Short != 0 {
			short = fmt.Sprintf("-%c, ", o.Short)
		}
		names := "   " + short + "--" + o.Name
		if o.Value != "" {
			names += "=" + strings.ToLower(o.Value)
		}
		fmt.Fprintf(w, "%-34s %s\n", names, o.Help)
		if o.Max > 0 {
			fmt.Fprintf(w, "\t\t\t\t- it must be in the range:\n\t\t\t\t  0 to %d\n", o.Max)
		}
		if o.No {
			fmt.Fprintf(w, "\t\t\t\t- disabled as '--no-%s'\n", o.Name)
		}
	}
	fmt.Fprintf(w, "\nOperands and options may be intermixed.  They will be reordered.\n")
}

// WriteWords lists the words of priority strings.
func WriteWords(w io.Writer) {
	fmt.Fprintf(w, "Priority strings:\n")
	writeWrapped(w, PriorityWords().Sets)
	fmt.Fprintf(w, "\nSpecial strings:\n")
	writeWrapped(w, append(slices.Clone(harmless), PriorityWords().Special...))
}

func writeWrapped(w io.Writer, words []string) {
	line := ""
	for _, word := range words {
		if len(line)+len(word) > 70 {
			fmt.Fprintf(w, "\t%s\n", line)
			line = ""
		}
		line += word + " "
	}
	fmt.Fprintf(w, "\t%s\n", line)
}

// Words are the words of priority strings, by what becomes of them.
type Words struct{ Sets, Known, Special, Absent, Harmless, Refused []string }

// PriorityWords returns all words that are known.
func PriorityWords() Words {
	known := []string{"VERS-ALL"}
	for _, id := range versionIDs {
		known = append(known, "VERS-"+versionName(id))
	}
	known = slices.Concat(known, []string{"CIPHER-ALL"}, ciphers, []string{"KX-ALL"}, exchanges, []string{"MAC-ALL"}, macs, []string{"GROUP-ALL"})
	for _, id := range groupIDs {
		known = append(known, "GROUP-"+groupName(id))
	}
	special := []string{"%NO_TICKETS", "%NO_TICKETS_TLS12", "%VERIFY_DISABLE_CRL_CHECKS"}
	for _, p := range profiles {
		special = append(special, p.word)
	}
	fixed := append(slices.Clone(always), "SIGN-ALL")
	for _, name := range signatures {
		fixed = append(fixed, "SIGN-"+name)
	}
	return Words{
		Sets:     slices.DeleteFunc(slices.Clone(sets), func(s string) bool { return slices.Contains(refusedSets, s) }),
		Known:    known,
		Special:  special,
		Absent:   absent,
		Harmless: append(fixed, harmless...),
		Refused:  slices.Concat(refusedSets, []string{"@..."}, refused),
	}
}

// WriteList lists what a priority string offers.
func WriteList(w io.Writer, text string, p *Priority) {
	fmt.Fprintf(w, "Cipher suites for %s\n", text)
	var names, macs, exchanges []string
	note := func(list *[]string, word string) {
		if word != "" && !slices.Contains(*list, word) {
			*list = append(*list, word)
		}
	}
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		modern := s.SupportedVersions[0] == tls.VersionTLS13
		if modern && p.Max < tls.VersionTLS13 || !modern && !slices.Contains(p.Suites, s.ID) {
			continue
		}
		d := describe(s.ID)
		note(&names, d.cipher)
		note(&macs, d.mac)
		note(&exchanges, d.exchange)
		title := strings.Replace(s.Name, "_WITH_", "_", 1)
		if d.mac == "SHA1" {
			title += "1"
		}
		fmt.Fprintf(w, "%-50s\t0x%02x, 0x%02x\t%s\n", title, s.ID>>8, s.ID&255, versionName(s.SupportedVersions[0]))
	}
	var versions, groups []string
	for _, id := range versionIDs {
		if id >= p.Min && id <= p.Max {
			versions = append(versions, "VERS-"+versionName(id))
		}
	}
	for _, id := range p.Groups {
		groups = append(groups, "GROUP-"+groupName(id))
	}
	var signs []string
	for _, name := range signatures {
		signs = append(signs, "SIGN-"+name)
	}
	for _, line := range []struct {
		title string
		words []string
	}{
		{"\nProtocols", versions}, {"Ciphers", names}, {"MACs", macs}, {"Key Exchange Algorithms", exchanges},
		{"Groups", groups}, {"PK-signatures", signs},
	} {
		fmt.Fprintf(w, "%s: %s\n", line.title, strings.Join(line.words, ", "))
	}
}
