//! Prints the table of configuration keys that the README shows.

fn main() {
    print!("{}", coati_export::config::defaults_table());
}
