//! The bytes of exports: every header, and cells that need care; read back by Python's own CSV module where there is one.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use vez::domain::role::Role;

use super::exported::{CALLS_HEADER, CUSTOMERS_HEADER, Call, LINKS_HEADER, file, put};
use crate::harness::TestApp;
use crate::harness::builders::{Company, Member};
use crate::harness::client::Answer;

/// Names that need care, and how each is written in a cell.
const CELLS: [(&str, &str); 16] = [
    ("Carlos Ferreira", "Carlos Ferreira"),
    ("Ferreira, Carlos", "\"Ferreira, Carlos\""),
    ("Carlos \"Cacá\" Ferreira", "\"Carlos \"\"Cacá\"\" Ferreira\""),
    ("two\nlines", "\"two\nlines\""),
    ("two\r\nlines", "\"two\r\nlines\""),
    ("Ação é ñ ü Ωμέγα 日本語", "Ação é ñ ü Ωμέγα 日本語"),
    ("👩‍👩‍👧 🇧🇷 é", "👩‍👩‍👧 🇧🇷 é"),
    ("=1+1", "'=1+1"),
    ("+55 11", "'+55 11"),
    ("-2", "'-2"),
    ("@SUM(A1:A9)", "'@SUM(A1:A9)"),
    ("\tx", "'\tx"),
    ("\rx", "\"'\rx\""),
    ("=HYPERLINK(\"http://x.example\",\"a\")", "\"'=HYPERLINK(\"\"http://x.example\"\",\"\"a\"\")\""),
    ("a=b; it's 'quoted'", "a=b; it's 'quoted'"),
    ("\"", "\"\"\"\""),
];

/// A company with a call for each name, a second apart, which nobody took.
async fn scene(app: &TestApp) -> (Company<'_>, Member, Vec<String>) {
    let company = app.company("acme").await;
    let line = company.department("=Suporte, \"N1\"").await;
    let boss = company.user("Boss", Role::Supervisor).await;
    let mut ids = Vec::new();
    for (number, (name, _)) in CELLS.iter().enumerate() {
        let joined = app.now().plus_seconds(number as u64);
        let call = Call { name, email: Some(name), ..Call::waiting(line, joined) };
        ids.push(put(app, company.tenant, number as i64 + 1, &call).await.to_string());
    }
    (company, boss, ids)
}

/// A customer and a link for each name that the API takes as it is, a second apart, with the cell of the name.
async fn people(app: &TestApp, company: &Company<'_>, boss: &Member) -> Vec<(Answer, Answer, &'static str)> {
    let line = company.department("Line").await;
    let mut made = Vec::new();
    for (name, cell) in CELLS.into_iter().filter(|(name, _)| name.trim() == *name) {
        let customer = json!({"name": name, "phone": "+5511999998888", "document": "123.456.789-00"});
        let customer = boss.client.post("/api/v1/customers", customer).await.expect(201);
        let link = json!({"department_id": line, "customer_name": name});
        let link = boss.client.post("/api/v1/access-links", link).await.expect(201);
        made.push((customer, link, cell));
        app.advance(std::time::Duration::from_secs(1)).await;
    }
    made
}

#[tokio::test]
async fn cells_are_quoted_and_formulas_neutralised_byte_by_byte() {
    let app = TestApp::start().await;
    let (_, boss, ids) = scene(&app).await;
    let mut expected = CALLS_HEADER.to_owned();
    for (id, (_, cell)) in ids.iter().zip(CELLS) {
        expected.push_str(&format!("{id},queued,\"'=Suporte, \"\"N1\"\"\",,{cell},{cell},,,,,\r\n"));
    }
    assert_eq!(file(&boss.client, "calls.csv").await.text, expected);
    let objects = file(&boss.client, "calls.csv?format=ndjson").await.objects();
    let names: Vec<&Value> = objects.iter().map(|object| &object["customer_name"]).collect();
    assert_eq!(names, CELLS.map(|(name, _)| name));
    assert!(objects.iter().all(|object| object["department"] == "=Suporte, \"N1\""));
}

#[tokio::test]
async fn customers_and_links_are_written_alike() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let boss = company.user("Boss", Role::Supervisor).await;
    let (mut customers, mut links) = (CUSTOMERS_HEADER.to_owned(), LINKS_HEADER.to_owned());
    for (customer, link, cell) in people(&app, &company, &boss).await {
        let (id, since) = (customer.id(), customer.data("inserted_at"));
        customers.push_str(&format!("{id},{cell},,+5511999998888,123.456.789-00,0,,{since}\r\n"));
        let (id, token, since) = (link.id(), link.data("token"), link.data("inserted_at"));
        links.push_str(&format!("{id},{token},active,Line,{cell},,,,{since}\r\n"));
    }
    assert_eq!(file(&boss.client, "customers.csv").await.text, customers);
    assert_eq!(file(&boss.client, "links.csv").await.text, links);
}

#[tokio::test]
async fn an_empty_export_is_its_header() {
    let app = TestApp::start().await;
    let boss = app.company("acme").await.user("Boss", Role::Supervisor).await;
    for (path, header) in
        [("calls.csv", CALLS_HEADER), ("customers.csv", CUSTOMERS_HEADER), ("links.csv", LINKS_HEADER)]
    {
        assert_eq!(file(&boss.client, path).await.text.as_bytes(), header.as_bytes(), "{path}");
        assert_eq!(file(&boss.client, &format!("{path}?format=ndjson")).await.text, "", "{path}");
    }
}

#[tokio::test]
async fn telephones_and_documents_keep_their_plus() {
    let app = TestApp::start().await;
    let boss = app.company("acme").await.user("Boss", Role::Supervisor).await;
    let table = [
        ("+5511999998888", "123.456.789-00", "+5511999998888,123.456.789-00"),
        ("-1", "+1 (2) 3/4", "-1,+1 (2) 3/4"),
        ("+cmd|' /C calc'!A0", "=A1", "'+cmd|' /C calc'!A0,'=A1"),
        ("@x, y", "-", "\"'@x, y\",-"),
    ];
    for (phone, document, _) in table {
        let body = json!({"name": "Maria", "phone": phone, "document": document});
        boss.client.post("/api/v1/customers", body).await.expect(201);
        app.advance(std::time::Duration::from_secs(1)).await;
    }
    let customers = file(&boss.client, "customers.csv").await;
    for (row, (_, _, cells)) in customers.rows(CUSTOMERS_HEADER).iter().zip(table) {
        assert!(row.contains(&format!(",Maria,,{cells},0,,")), "{row}");
    }
}

/// What reads a CSV file from its input and prints a JSON array of arrays.
const PYTHON: &str = "import csv, io, json, sys
text = io.TextIOWrapper(sys.stdin.buffer, encoding='utf-8', newline='')
print(json.dumps(list(csv.reader(text, strict=True))))";

#[tokio::test]
async fn pythons_csv_module_reads_back_what_was_stored() {
    let child = Command::new("python3").args(["-c", PYTHON]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut child) = child else {
        eprintln!("no python3 here: skipped");
        return;
    };
    let app = TestApp::start().await;
    let (_, boss, ids) = scene(&app).await;
    let text = file(&boss.client, "calls.csv").await.text;
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let read: Vec<Vec<String>> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(read[0].join(","), CALLS_HEADER.trim_end());
    assert_eq!(read.len(), CELLS.len() + 1);
    for (index, (name, cell)) in CELLS.iter().enumerate() {
        // The apostrophe of a formula is documented; everything else is what was stored.
        let neutral = cell.trim_start_matches('"').starts_with('\'');
        let stored = if neutral { format!("'{name}") } else { (*name).to_owned() };
        assert_eq!(read[index + 1][0], ids[index]);
        assert_eq!(read[index + 1][4..6], [stored.clone(), stored]);
        assert_eq!(read[index + 1][6..], [""; 5]);
    }
}

/// Writes what `dev/csv-check` has other programs read: a file of each export, and what must be read from it.
#[tokio::test]
#[ignore = "writes files for dev/csv-check, which names their folder in VEZ_CSV_CHECK"]
async fn files_for_other_programs() {
    let folder = std::path::PathBuf::from(std::env::var_os("VEZ_CSV_CHECK").expect("VEZ_CSV_CHECK"));
    let app = TestApp::start().await;
    let (company, boss, _) = scene(&app).await;
    people(&app, &company, &boss).await;
    for path in ["calls", "customers", "links"] {
        let text = file(&boss.client, &format!("{path}.csv")).await.text;
        std::fs::write(folder.join(format!("{path}.csv")), text).unwrap();
        let text = file(&boss.client, &format!("{path}.csv?format=ndjson")).await.text;
        std::fs::write(folder.join(format!("{path}.ndjson")), text).unwrap();
    }
}
