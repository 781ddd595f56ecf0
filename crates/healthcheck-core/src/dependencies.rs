//! Whose fault it is: from a bad subject along its dependencies to the root.

use std::collections::VecDeque;

/// A subject in the graph; its position in the slice is its identity, in the order of names.
#[derive(Debug, Clone, Default)]
pub(crate) struct Node {
    /// Error or fatal.
    pub(crate) is_bad: bool,
    /// Bad, or unknown for a reason: it may be what makes others bad.
    pub(crate) is_suspect: bool,
    /// What it depends on.
    pub(crate) parents: Vec<usize>,
}

/// The root of each bad node that is not a root itself: of the suspects that it depends on, also through other
/// suspects, one that depends on no suspect; the first by name where there are several. In a cycle the first by name
/// of its members is the root.
pub(crate) fn roots(nodes: &[Node]) -> Vec<Option<usize>> {
    let mut search = Search::new(nodes);
    search.spread();
    for member in knots(nodes, &search) {
        if search.roots[member].is_none() {
            search.resolve(member);
            search.spread();
        }
    }
    let roots = search.roots.iter().enumerate();
    roots.map(|(node, root)| root.filter(|root| *root != node && nodes[node].is_bad)).collect()
}

/// Who depends on each bad node, directly or as on its root, in order.
pub(crate) fn affected(nodes: &[Node], roots: &[Option<usize>]) -> Vec<Vec<usize>> {
    let mut affected = vec![Vec::new(); nodes.len()];
    for (child, node) in nodes.iter().enumerate() {
        for parent in node.parents.iter().copied().chain(roots[child]) {
            if nodes[parent].is_bad && parent != child && affected[parent].last() != Some(&child) {
                affected[parent].push(child);
            }
        }
    }
    affected
}

/// Roots spread from parents to children; each edge is followed once.
struct Search {
    parents: Vec<Vec<usize>>,
    children: Vec<Vec<usize>>,
    unresolved_parents: Vec<usize>,
    roots: Vec<Option<usize>>,
    ready: VecDeque<usize>,
}

impl Search {
    fn new(nodes: &[Node]) -> Self {
        let parents: Vec<Vec<usize>> = (0..nodes.len()).map(|node| suspects_above(nodes, node)).collect();
        let mut children = vec![Vec::new(); nodes.len()];
        for (child, above) in parents.iter().enumerate() {
            above.iter().for_each(|parent| children[*parent].push(child));
        }
        let unresolved_parents: Vec<usize> = parents.iter().map(Vec::len).collect();
        let ready =
            (0..nodes.len()).filter(|node| nodes[*node].is_suspect && parents[*node].is_empty()).collect();
        Self { parents, children, unresolved_parents, roots: vec![None; nodes.len()], ready }
    }

    fn spread(&mut self) {
        while let Some(node) = self.ready.pop_front() {
            if self.roots[node].is_none() {
                self.resolve(node);
            }
        }
    }

    fn resolve(&mut self, node: usize) {
        let above = self.parents[node].iter().filter_map(|parent| self.roots[*parent]);
        self.roots[node] = Some(above.min().unwrap_or(node));
        for child in &self.children[node] {
            self.unresolved_parents[*child] -= 1;
            if self.unresolved_parents[*child] == 0 {
                self.ready.push_back(*child);
            }
        }
    }
}

fn suspects_above(nodes: &[Node], node: usize) -> Vec<usize> {
    if !nodes[node].is_suspect {
        return Vec::new();
    }
    let mut above = nodes[node].parents.clone();
    above.retain(|parent| *parent != node && nodes[*parent].is_suspect);
    above.sort_unstable();
    above.dedup();
    above
}

/// What is left where no root spreads, without what only hangs below it: the members of cycles, in order.
fn knots(nodes: &[Node], search: &Search) -> Vec<usize> {
    let mut is_left: Vec<bool> =
        (0..nodes.len()).map(|node| nodes[node].is_suspect && search.roots[node].is_none()).collect();
    let mut children_left: Vec<usize> = search
        .children
        .iter()
        .map(|children| children.iter().filter(|child| is_left[**child]).count())
        .collect();
    let mut leaves: Vec<usize> =
        (0..nodes.len()).filter(|node| is_left[*node] && children_left[*node] == 0).collect();
    while let Some(leaf) = leaves.pop() {
        is_left[leaf] = false;
        for parent in search.parents[leaf].iter().copied().filter(|parent| is_left[*parent]) {
            children_left[parent] -= 1;
            if children_left[parent] == 0 {
                leaves.push(parent);
            }
        }
    }
    (0..nodes.len()).filter(|node| is_left[*node]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bad nodes with these parents.
    fn graph(parents: &[&[usize]]) -> Vec<Node> {
        let node = |parents: &&[usize]| Node { is_bad: true, is_suspect: true, parents: parents.to_vec() };
        parents.iter().map(node).collect()
    }

    #[test]
    fn each_shape_has_its_root() {
        for (shape, parents, expected) in [
            ("alone", &[&[][..]][..], &[None][..]),
            ("a chain ends at its last", &[&[1], &[2], &[]], &[Some(2), Some(2), None]),
            ("of two roots the first by name", &[&[], &[], &[0, 1]], &[None, None, Some(0)]),
            ("it depends on itself", &[&[0]], &[None]),
            ("a cycle of two", &[&[1], &[0]], &[None, Some(0)]),
            ("below a cycle", &[&[1], &[2], &[1]], &[Some(1), None, Some(1)]),
            ("a cycle that depends on a root", &[&[1, 2], &[0], &[]], &[Some(2), Some(2), None]),
            ("a diamond", &[&[1, 2], &[3], &[3], &[]], &[Some(3), Some(3), Some(3), None]),
            ("the same parent twice", &[&[1, 1], &[]], &[Some(1), None]),
        ] {
            assert_eq!(roots(&graph(parents)), expected, "{shape}");
        }
    }

    #[test]
    fn a_healthy_node_ends_the_chain_and_an_unknown_one_carries_it() {
        let mut nodes = graph(&[&[1], &[2], &[]]);
        nodes[1].is_bad = false;
        assert_eq!(roots(&nodes), [Some(2), None, None]);
        nodes[1].is_suspect = false;
        assert_eq!(roots(&nodes), [None, None, None]);
    }

    #[test]
    fn who_is_affected_is_named_once() {
        let nodes = graph(&[&[1, 1, 2], &[2], &[]]);
        assert_eq!(affected(&nodes, &roots(&nodes)), [vec![], vec![0], vec![0, 1]]);
    }

    #[test]
    fn many_cycles_cost_little() {
        let parents: Vec<[usize; 1]> = (0..40_000).map(|node| [node ^ 1]).collect();
        let nodes = graph(&parents.iter().map(|parent| &parent[..]).collect::<Vec<_>>());
        let roots = roots(&nodes);
        assert!((0..40_000).all(|node| roots[node] == (node % 2 == 1).then_some(node & !1)));
    }
}
