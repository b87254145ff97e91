package state

import "slices"

// Node returns the record of this id, its own copy. A pre-created node has
// none and is not found.
func (s *State) Node(id string) (*Node, bool) {
	if i := s.nodeAt(id); i >= 0 {
		n := s.Nodes[i]
		return &n, true
	}
	return nil, false
}

// ByName returns the record of this name, its own copy: of a node that is in
// the cluster or pre-created before one that left.
func (s *State) ByName(name string) (*Node, bool) {
	found := -1
	for i := range s.Nodes {
		if s.Nodes[i].Name == name && (found < 0 || s.Nodes[i].State != Left) {
			found = i
		}
	}
	if found < 0 {
		return nil, false
	}
	n := s.Nodes[found]
	return &n, true
}

// Members returns the nodes that have a place in the ring, by id.
func (s *State) Members() []Node {
	var members []Node
	for i := range s.Nodes {
		if s.Nodes[i].Member() {
			members = append(members, s.Nodes[i])
		}
	}
	return members
}

// Token returns the token of this hash, its own copy.
func (s *State) Token(hash string) (*Token, bool) {
	i := slices.IndexFunc(s.Tokens, func(t Token) bool { return t.Hash == hash })
	if hash == "" || i < 0 {
		return nil, false
	}
	t := s.Tokens[i]
	return &t, true
}

// nodeAt returns where the record of this id is, -1 = nowhere.
func (s *State) nodeAt(id string) int {
	if id == "" {
		return -1
	}
	return slices.IndexFunc(s.Nodes, func(n Node) bool { return n.ID == id })
}
