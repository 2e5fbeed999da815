//! Owns the words and the look of the page where a new password is chosen, by the link in a mail.

use axum::response::Response;
use serde::Serialize;

use crate::auth::passwords::{CHARS_MAX, CHARS_MIN};
use crate::domain::locale::Locale;
use crate::http::error::ApiError;

/// What the page has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Nothing yet: choose.
    Choose,
    /// Too short, too long or too common.
    Unfit,
    /// The link was used, is too old, or never was one.
    LinkGone,
    Done,
    /// Too many tries, or too much to do.
    Later,
}

/// What the template is filled with.
#[derive(Serialize)]
struct Filled<'a> {
    lang: &'static str,
    title: &'static str,
    told: Option<&'static str>,
    token: Option<&'a str>,
    password_label: &'static str,
    hint: &'static str,
    button: &'static str,
    chars_min: usize,
    chars_max: usize,
}

/// The page as HTML: with the form while it is of use.
pub fn show(locale: Locale, told: Told, token: &str) -> Result<Response, ApiError> {
    let [title, password_label, hint, button] = labels(locale);
    let is_open = matches!(told, Told::Choose | Told::Unfit | Told::Later);
    let filled = Filled {
        lang: locale.as_str(),
        title,
        told: sentence(locale, told),
        token: is_open.then_some(token),
        password_label,
        hint,
        button,
        chars_min: CHARS_MIN,
        chars_max: CHARS_MAX,
    };
    super::page("password_reset.html", include_str!("password_reset.html"), &filled)
}

fn labels(locale: Locale) -> [&'static str; 4] {
    match locale {
        Locale::PtBr => ["Nova senha", "Senha nova", "De 8 a 128 caracteres, e que ninguém adivinhe.", "Salvar"],
        Locale::En => ["A new password", "New password", "8 to 128 characters, and hard to guess.", "Save"],
        Locale::Es => ["Contraseña nueva", "Contraseña", "De 8 a 128 caracteres, difícil de adivinar.", "Guardar"],
        Locale::Fr => {
            ["Nouveau mot de passe", "Mot de passe", "8 à 128 caractères, difficile à deviner.", "Enregistrer"]
        }
    }
}

fn sentence(locale: Locale, told: Told) -> Option<&'static str> {
    use Told::{Choose, Done, Later, LinkGone, Unfit};
    Some(match (locale, told) {
        (_, Choose) => return None,
        (Locale::PtBr, Unfit) => "Essa senha é curta demais ou muito comum. Escolha outra.",
        (Locale::PtBr, LinkGone) => "Este link já foi usado ou venceu. Peça outro.",
        (Locale::PtBr, Done) => "A senha foi trocada. Entre com ela; os acessos anteriores foram encerrados.",
        (Locale::PtBr, Later) => "Não foi possível agora. Tente de novo daqui a um minuto.",
        (Locale::En, Unfit) => "This password is too short or too common. Choose another one.",
        (Locale::En, LinkGone) => "This link was used already, or is too old. Ask for another one.",
        (Locale::En, Done) => "Your password was changed. Log in with it; earlier logins have ended.",
        (Locale::En, Later) => "That did not work just now. Try again in a minute.",
        (Locale::Es, Unfit) => "Esta contraseña es demasiado corta o muy común. Elija otra.",
        (Locale::Es, LinkGone) => "Este enlace ya se usó o venció. Pida otro.",
        (Locale::Es, Done) => "La contraseña se cambió. Entre con ella; las sesiones anteriores se cerraron.",
        (Locale::Es, Later) => "No fue posible ahora. Inténtelo de nuevo en un minuto.",
        (Locale::Fr, Unfit) => "Ce mot de passe est trop court ou trop courant. Choisissez-en un autre.",
        (Locale::Fr, LinkGone) => "Ce lien a déjà servi ou a expiré. Demandez-en un autre.",
        (Locale::Fr, Done) => {
            "Le mot de passe a été changé. Connectez-vous avec lui ; les sessions précédentes sont closes."
        }
        (Locale::Fr, Later) => "Cela n’a pas marché pour l’instant. Réessayez dans une minute.",
    })
}
