package gnutls

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// ParseTime reads the time of --attime as GNU date reads one, seen from now and in its zone: Unix time
// (@1700000000), or a date (2004-02-29, 20040229, 29 Feb 2004, Feb 29 2004), a time (10:30, 10:30:15) or
// both, with a zone (Z, UTC, GMT, +02:00, +0200) behind the time, or what date itself prints (Sun Feb 29
// 10:30:15 UTC 2004); then lengths of time from there (tomorrow, +30 days, 2 weeks ago), which may stand
// alone. A date alone is its midnight. It reports false for anything else.
func ParseTime(text string, now time.Time) (time.Time, bool) {
	words := strings.Fields(strings.ReplaceAll(text, ",", " "))
	for n := len(words); n >= 0; n-- {
		moment, ok := parseMoment(words[:n], now)
		if !ok {
			continue
		}
		if later, ok := addLengths(moment, words[n:]); ok && len(words) > 0 {
			return later, true
		}
	}
	return time.Time{}, false
}

// The parts that a time is made of, as package time has them.
var (
	dateForms = []string{
		"2006-1-2", "20060102", "2 Jan 2006", "2 January 2006", "Jan 2 2006", "January 2 2006", "Mon 2 Jan 2006", "Mon Jan 2 2006",
	}
	clockForms = []string{"15:4", "15:4:5"} // and fractions of seconds
	zoneForms  = []string{"", "Z07:00", "-0700", " Z07:00", " -0700"}
)

// parseMoment reads a date, a time or both; now if there are no words.
func parseMoment(words []string, now time.Time) (time.Time, bool) {
	text := strings.Join(words, " ")
	if text == "" {
		return now, true
	}
	if seconds, ok := strings.CutPrefix(text, "@"); ok {
		n, err := strconv.ParseInt(seconds, 10, 64)
		return time.Unix(n, 0).In(now.Location()), err == nil
	}
	for _, zone := range []string{"UTC", "GMT", "utc", "gmt"} {
		text = strings.Replace(text, " "+zone, " Z", 1)
	}
	forms := slices.Clone(dateForms)
	for _, clock := range clockForms {
		for _, zone := range zoneForms {
			for _, date := range dateForms {
				forms = append(forms, date+" "+clock+zone, date+"T"+clock+zone)
			}
			forms = append(forms, "Mon Jan 2 "+clock+zone+" 2006")
		}
	}
	for _, form := range forms {
		if t, err := time.ParseInLocation(form, text, now.Location()); err == nil {
			return t, true
		}
	}
	for _, clock := range clockForms { // today
		if t, err := time.Parse("2006-01-02 "+clock, now.Format("2006-01-02 ")+text); err == nil {
			return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), now.Location()), true
		}
	}
	return time.Time{}, false
}

// A length of time is in years, months and days, and what a clock measures.
type length struct {
	years, months, days int
	clock               time.Duration
}

// units are lengths of time that have a name.
func units() map[string]length {
	return map[string]length{
		"year": {years: 1}, "month": {months: 1}, "fortnight": {days: 14}, "week": {days: 7}, "day": {days: 1},
		"hour": {clock: time.Hour}, "minute": {clock: time.Minute}, "min": {clock: time.Minute},
		"second": {clock: time.Second}, "sec": {clock: time.Second},
	}
}

// maxLength is how many units at most are added.
const maxLength = 1_000_000

// addLengths adds lengths of time in words.
func addLengths(t time.Time, words []string) (time.Time, bool) {
	for len(words) > 0 {
		n, unit, used := readLength(words)
		words = words[used:]
		if len(words) > 0 && strings.EqualFold(words[0], "ago") {
			n, words = -n, words[1:]
		}
		u, ok := units()[unit]
		if used == 0 || !ok || n < -maxLength || n > maxLength {
			return time.Time{}, false
		}
		t = t.AddDate(n*u.years, n*u.months, n*u.days).Add(time.Duration(n) * u.clock)
	}
	return t, true
}

// readLength reads a number and a unit, or a word for both, and returns how many words that were.
func readLength(words []string) (n int, unit string, used int) {
	switch word := strings.ToLower(words[0]); word {
	case "now", "today":
		return 0, "day", 1
	case "tomorrow":
		return 1, "day", 1
	case "yesterday":
		return -1, "day", 1
	}
	n, err := strconv.Atoi(words[0])
	if err != nil || len(words) < 2 {
		return 0, "", 0
	}
	return n, strings.TrimSuffix(strings.ToLower(words[1]), "s"), 2
}
