//! Owns the customers of a generated history: who is new, who comes back, how each is called. What is said of a person
//! follows from a number, so that millions of them need no memory.

use std::fmt::Write as _;

use super::chance::Chance;
use crate::domain::clock::Timestamp;
use crate::domain::ids::{CustomerId, IdSource};
use crate::store::generated::Contact;

/// Calls by somebody who never called before.
const NEW_SHARE: f64 = 0.30;
/// Customers remembered as likely to come back; whoever called before them does not.
const RECENT_MAX: usize = 50_000;
/// How many customers ago whoever comes back came first, on average: soon, mostly.
const BACK_MEAN: f64 = 8_000.0;

const FIRST: [(&str, &str); 24] = [
    ("Ana", "ana"),
    ("João", "joao"),
    ("Maria", "maria"),
    ("José", "jose"),
    ("Antônio", "antonio"),
    ("Francisca", "francisca"),
    ("Carlos", "carlos"),
    ("Adriana", "adriana"),
    ("Paulo", "paulo"),
    ("Juliana", "juliana"),
    ("Lucas", "lucas"),
    ("Márcia", "marcia"),
    ("Luís", "luis"),
    ("Fernanda", "fernanda"),
    ("Marcos", "marcos"),
    ("Patrícia", "patricia"),
    ("Gabriel", "gabriel"),
    ("Aline", "aline"),
    ("Rafael", "rafael"),
    ("Sandra", "sandra"),
    ("Daniel", "daniel"),
    ("Camila", "camila"),
    ("Zoë", "zoe"),
    ("Ítalo", "italo"),
];
const LAST: [(&str, &str); 24] = [
    ("Silva", "silva"),
    ("Santos", "santos"),
    ("Oliveira", "oliveira"),
    ("Souza", "souza"),
    ("Rodrigues", "rodrigues"),
    ("Ferreira", "ferreira"),
    ("Alves", "alves"),
    ("Pereira", "pereira"),
    ("Lima", "lima"),
    ("Gomes", "gomes"),
    ("Ribeiro", "ribeiro"),
    ("Carvalho", "carvalho"),
    ("Almeida", "almeida"),
    ("Lopes", "lopes"),
    ("Soares", "soares"),
    ("Fernandes", "fernandes"),
    ("Vieira", "vieira"),
    ("Barbosa", "barbosa"),
    ("Rocha", "rocha"),
    ("Dias", "dias"),
    ("Nascimento", "nascimento"),
    ("Conceição", "conceicao"),
    ("D'Ávila", "davila"),
    ("Müller", "muller"),
];

/// Somebody who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Customer {
    pub id: CustomerId,
    /// What everything said of the person follows from; unique in the company.
    pub number: u64,
}

/// Who called so far.
#[derive(Debug)]
pub struct People {
    recent: Vec<Customer>,
    /// Where the next new one goes once the memory is full.
    next: usize,
    number: u64,
}

impl People {
    /// Nobody yet; `first_number` tells these people from those of an earlier run.
    pub fn new(first_number: u64) -> Self {
        Self { recent: Vec::new(), next: 0, number: first_number }
    }

    /// Who calls now, and whether for the first time.
    pub fn caller(&mut self, chance: &mut Chance, ids: &IdSource, now: Timestamp) -> (Customer, bool) {
        if self.recent.is_empty() || chance.happens(NEW_SHARE) {
            let customer = Customer { id: ids.next(now), number: self.number };
            self.number += 1;
            if self.recent.len() < RECENT_MAX {
                self.recent.push(customer);
            } else {
                self.recent[self.next] = customer;
            }
            self.next = (self.next + 1) % RECENT_MAX;
            return (customer, true);
        }
        let ago = 1 + chance.exponential(BACK_MEAN) as usize % self.recent.len();
        (self.recent[(self.next + self.recent.len() - ago) % self.recent.len()], false)
    }

    /// How many there were.
    #[cfg(test)]
    pub fn known(&self) -> usize {
        self.recent.len()
    }
}

/// How somebody is called and reached. Addresses and telephones follow the number, so that their indexes grow at one end.
pub fn describe(customer: Customer, contact: &mut Contact) {
    // A fixed scramble (the constant of Fibonacci hashing), so that neighbours are called differently.
    let mixed = customer.number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let part = |shift: u32, of: u64| (mixed >> shift) % of;
    let first = FIRST[part(40, FIRST.len() as u64) as usize];
    let last = LAST[part(48, LAST.len() as u64) as usize];
    let number = customer.number;
    contact.name.clear();
    contact.email.clear();
    contact.phone.clear();
    contact.document.clear();
    // Writing to a text cannot fail.
    let _ = write!(contact.name, "{} {}", first.0, last.0);
    if part(8, 100) < 85 {
        let _ = write!(contact.email, "c{number:07}.{}.{}@example.com", first.1, last.1);
    }
    if part(16, 100) < 80 {
        let _ = write!(contact.phone, "+5511{:09}", 900_000_000 + number % 99_999_999);
    }
    if part(24, 100) < 10 {
        let _ = write!(contact.document, "{:011}", number % 99_999_999_999);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_are_new_and_the_others_came_lately() {
        let (mut chance, ids, mut people) = (Chance::new(1), IdSource::seeded(1), People::new(100));
        let calls = 20_000;
        let mut newcomers = 0;
        for at in 0..calls {
            let (customer, new) = people.caller(&mut chance, &ids, Timestamp::from_micros(at * 1_000_000));
            newcomers += usize::from(new);
            assert!(customer.number >= 100 && customer.number < 100 + newcomers as u64);
        }
        assert!((0.28..0.32).contains(&(newcomers as f64 / calls as f64)), "{newcomers}");
        assert_eq!(people.known(), newcomers);
    }

    #[test]
    fn a_person_is_always_described_alike() {
        let customer = Customer { id: CustomerId(uuid::Uuid::nil()), number: 12 };
        let (mut first, mut again) = (Contact::default(), Contact { name: "left over".into(), ..Contact::default() });
        describe(customer, &mut first);
        describe(customer, &mut again);
        assert_eq!(first, again);
        assert!(!first.name.is_empty());
    }
}
