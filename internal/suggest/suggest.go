// Package suggest finds the word that was probably meant in place of one that is not
// known.
package suggest

import "strings"

// Closest returns the known word that word is a slip of the pen away from, else the
// shortest that begins with it; "" if none is really close. Case does not count.
func Closest(word string, known []string) string {
	word = strings.ToLower(word)
	best, found := (len(word)+1)/4+1, "" // one slip for each four letters
	for _, k := range known {
		if n := slips(word, strings.ToLower(k)); n < best && len(k) > 2 {
			best, found = n, k
		}
	}
	if found != "" || len(word) < 3 {
		return found
	}
	for _, k := range known {
		if strings.HasPrefix(strings.ToLower(k), word) && (found == "" || len(k) < len(found)) {
			found = k
		}
	}
	return found
}

// slips counts the letters that are wrong, missing or superfluous, and neighbours that
// changed places.
func slips(a, b string) int {
	// rows[i][j]: what it takes from a[:i] to b[:j].
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			wrong := 1
			if a[i-1] == b[j-1] {
				wrong = 0
			}
			rows[i][j] = min(rows[i-1][j-1]+wrong, rows[i-1][j]+1, rows[i][j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
