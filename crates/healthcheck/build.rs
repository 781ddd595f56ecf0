//! Links the C++ runtime of libzmq into the program, so that it starts sooner and runs where there is none.

fn main() {
    println!("cargo::rustc-link-arg=-l:libstdc++.a");
    println!("cargo::rerun-if-changed=build.rs");
}
