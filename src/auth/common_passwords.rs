//! Owns the short list of passwords that every guesser tries first, as far as they are long enough to be chosen at all. It
//! is no substitute for a second factor; it stops what a lock-out of some tries would not.

/// In lower case, sorted. Taken together from the heads of the usual lists of leaked passwords, English and Portuguese.
const COMMON: [&str; 92] = [
    "00000000",
    "01234567",
    "0123456789",
    "098765432",
    "0987654321",
    "10203040",
    "1029384756",
    "11111111",
    "111111111",
    "1111111111",
    "11223344",
    "1122334455",
    "12121212",
    "12341234",
    "12344321",
    "123456123",
    "12345678",
    "123456789",
    "1234567890",
    "12345678910",
    "123456789a",
    "12345679",
    "1234qwer",
    "123698745",
    "147258369",
    "1q2w3e4r",
    "1q2w3e4r5t",
    "1qaz2wsx",
    "22222222",
    "55555555",
    "66666666",
    "77777777",
    "87654321",
    "88888888",
    "987654321",
    "9876543210",
    "99999999",
    "a1b2c3d4",
    "aaaaaaaa",
    "abc12345",
    "abcd1234",
    "abcdefgh",
    "admin123",
    "admin1234",
    "administrador",
    "administrator",
    "alexandre",
    "amor1234",
    "asdf1234",
    "asdfasdf",
    "asdfghjk",
    "asdfghjkl",
    "baseball",
    "brasil123",
    "changeme",
    "computer",
    "corinthians",
    "cruzeiro",
    "flamengo",
    "football",
    "iloveyou",
    "internet",
    "jesus123",
    "jesuscristo",
    "juventude",
    "letmein1",
    "mudar123",
    "p@ssw0rd",
    "pa$$w0rd",
    "palmeiras",
    "passw0rd",
    "password",
    "password1",
    "password12",
    "password123",
    "princesa",
    "princess",
    "q1w2e3r4",
    "qazwsxedc",
    "qwer1234",
    "qwerty12",
    "qwerty123",
    "qwertyui",
    "qwertyuiop",
    "senha123",
    "senha1234",
    "senhasenha",
    "starwars",
    "sunshine",
    "superman",
    "trocar123",
    "zaq12wsx",
];

/// Whether a guesser would try it first, in whatever case it is written.
pub fn is_common(password: &str) -> bool {
    let lower = password.to_lowercase();
    COMMON.contains(&lower.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_holds_only_what_could_be_chosen() {
        for password in COMMON {
            assert!(password.len() >= super::super::passwords::CHARS_MIN, "{password}");
            assert_eq!(password, password.to_lowercase());
        }
    }
}
