package gnutls

import "testing"

func TestDANELine(t *testing.T) {
	own, authority := DANERecord{Usable: true}, DANERecord{Usable: true, Authority: true}
	for _, test := range []struct {
		records []DANERecord
		want    string
		trusted bool
	}{
		{[]DANERecord{own, {Usable: true, Matches: true}}, "- DANE: Certificate matches. ", true},
		{[]DANERecord{own, {}}, "- DANE: Verification failed. The certificate differs. ", false},
		{[]DANERecord{authority}, "- DANE: Verification failed. CA constrains were violated. ", false},
		{[]DANERecord{own, authority}, "- DANE: Verification failed. CA constrains were violated. The certificate differs. ", false},
		{[]DANERecord{{}, {Authority: true}}, "*** DANE verification error: The requested data are not available.", false},
		{nil, "*** DANE verification error: The requested data are not available.", false},
	} {
		if got, trusted := DANELine(test.records); got != test.want || trusted != test.trusted {
			t.Errorf("%v: %q, %v", test.records, got, trusted)
		}
	}
}
