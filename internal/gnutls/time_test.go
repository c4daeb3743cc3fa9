package gnutls

import (
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestParseTime reads times as GNU date does, and refuses what is none.
func TestParseTime(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 24, 12, 50, 46, 0, berlin)
	for _, test := range []struct{ text, want string }{
		{"@1700000000", "2023-11-14T22:13:20Z"},
		{"@-1", "1969-12-31T23:59:59Z"},
		{"2004-02-29", "2004-02-28T23:00:00Z"},
		{"20040229", "2004-02-28T23:00:00Z"},
		{"29 Feb 2004", "2004-02-28T23:00:00Z"},
		{"29 february 2004", "2004-02-28T23:00:00Z"},
		{"Feb 29, 2004", "2004-02-28T23:00:00Z"},
		{"Mon, 01 Mar 2004 10:30:15 +0100", "2004-03-01T09:30:15Z"},
		{"2004-02-29 10:30", "2004-02-29T09:30:00Z"},
		{"2004-02-29 10:30:15.5Z", "2004-02-29T10:30:15Z"},
		{"2004-02-29T10:30:15+02:00", "2004-02-29T08:30:15Z"},
		{"2026-11-24 12:50:46 UTC", "2026-11-24T12:50:46Z"},
		{"Sun Feb 29 10:30:15 UTC 2004", "2004-02-29T10:30:15Z"},
		{"Sun Feb 29 10:30:15 2004", "2004-02-29T09:30:15Z"},
		{"2004-02-29 +1 day", "2004-02-29T23:00:00Z"},
		{"2004-02-29 10:30 UTC 2 days ago 1 hour", "2004-02-27T11:30:00Z"},
	} {
		checkTime(t, now, test.text, test.want)
		checkDate(t, test.text, test.want)
	}
	for _, test := range []struct{ text, want string }{ // which depend on now
		{"10:30", "2026-11-24T09:30:00Z"},
		{"now", "2026-11-24T11:50:46Z"},
		{"tomorrow", "2026-11-25T11:50:46Z"},
		{"+30 days", "2026-12-24T11:50:46Z"},
		{"10:30 yesterday", "2026-11-23T09:30:00Z"},
		{"2 weeks ago", "2026-11-10T11:50:46Z"},
		{"1 year", "2027-11-24T11:50:46Z"},
		{"-3 Months", "2026-08-24T10:50:46Z"}, // summer
	} {
		checkTime(t, now, test.text, test.want)
	}
	for _, text := range []string{
		"", " ", "soon", "@", "@x", "2004-02-31", "2004-02-29 25:00", "Feb 29", "1", "1 day ago ago", "days",
		"2004-02-29 2004-02-29", "1 light-year", "9999999999 days", "@17 10:30", "ago", "2004-02-29 10:30 MST",
	} {
		if moment, ok := ParseTime(text, now); ok {
			t.Errorf("%q is taken for %v", text, moment)
		}
	}
}

func checkTime(t *testing.T, now time.Time, text, want string) {
	t.Helper()
	moment, ok := ParseTime(text, now)
	if got := moment.UTC().Format("2006-01-02T15:04:05Z"); !ok || got != want {
		t.Errorf("%q: %s, %v, want %s", text, got, ok, want)
	}
}

// checkDate holds what is wanted against GNU date itself.
func checkDate(t *testing.T, text, want string) {
	t.Helper()
	if runtime.GOOS != "linux" {
		return
	}
	date := exec.Command("date", "-d", text, "+%s")
	date.Env = []string{"TZ=CET-1CEST,M3.5.0,M10.5.0/3", "LC_ALL=C"}
	theirs, err := date.CombinedOutput()
	moment, parseErr := time.Parse(time.RFC3339, want)
	if err != nil || parseErr != nil || strings.TrimSpace(string(theirs)) != strconv.FormatInt(moment.Unix(), 10) {
		t.Errorf("%q: date says %s (%v), want %s", text, theirs, err, want)
	}
}
