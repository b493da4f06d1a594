//! The recipes of a VM's image: each is taken by the program that it is for.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use broker::{
    cloud::Limits,
    pilot::{Pilot, user_data},
};
use secrecy::ExposeSecret;
use serde_json::Value;
use testbeds::{
    host::{
        apt,
        process::{output, run},
    },
    systems::dirac::recipes,
};

/// The pilot of these tests.
pub fn pilot() -> Pilot {
    let uid = "0c0ffee0-0000-4000-8000-000000000002";
    Pilot {
        reference: broker::pilot::stamp::reference(uid),
        stamp: broker::pilot::stamp::stamp(uid),
        vo: "biomed".to_owned(),
        group: "biomed_pilot".to_owned(),
        owner_groups: vec!["biomed_user".to_owned()],
        site: testbeds::systems::dirac::SITE.to_owned(),
        ce: "openstack.lyon.fr".to_owned(),
        queue: "m1.medium".to_owned(),
        cores: 2,
        ram_mib: 4_096,
        gpus: 0,
        gpu_model: String::new(),
        gpu_cores: 0,
        cpu_time: 86_400,
        tags: Vec::new(),
        required_tags: Vec::new(),
        platform: None,
        idle_timeout: 60,
    }
}

/// `images/pilot` as a site has it, below a folder.
fn site(below: &Path) -> PathBuf {
    let folder = below.join("images/pilot");
    fs::create_dir_all(folder.parent().unwrap()).unwrap();
    run("cp", Command::new("cp").arg("-R").arg(recipes()).arg(&folder)).unwrap();
    fs::copy(folder.join("settings.example"), folder.join("settings")).unwrap();
    for made in ["certificates", "proxies"] {
        fs::create_dir_all(folder.join(made)).unwrap();
    }
    // Certificates do not compress: as many random bytes as three of them have.
    for name in ["0a.0", "0b.0", "0c.0"] {
        let bytes: [u8; 1_000] = std::array::from_fn(|_| rand::random());
        fs::write(folder.join("certificates").join(name), BASE64_STANDARD.encode(bytes)).unwrap();
    }
    fs::write(folder.join("proxies/proxy.biomed_pilot"), "a proxy").unwrap();
    folder
}

#[test]
fn the_scripts_are_clean() {
    apt::ensure("the recipes' test", &["shellcheck"]).unwrap();
    let scripts = [
        "install",
        "start-pilot",
        "elements/dirac-pilot/extra-data.d/50-dirac-pilot",
        "elements/dirac-pilot/install.d/50-dirac-pilot",
    ];
    // The two are: a file is read that is on another machine.
    let mut shellcheck = Command::new("shellcheck");
    shellcheck.args(["--exclude=SC1090,SC1091", "--color=never"]).args(scripts.map(|script| recipes().join(script)));
    run("shellcheck", &mut shellcheck).unwrap();
    for script in scripts {
        let mode = fs::metadata(recipes().join(script)).unwrap().permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{script} can be run");
    }
}

#[test]
fn files_are_laid_down_where_the_page_says_and_a_proxy_only_its_owner_reads() {
    let state = tempfile::tempdir().unwrap();
    let (folder, root) = (site(state.path()), state.path().join("root"));
    let install = || run("install", Command::new(folder.join("install")).arg("--files").arg(&root));
    install().unwrap();
    install().expect("it may run again");
    let found =
        run("find", Command::new("find").current_dir(&root).args([".", "-type", "f", "-printf", "%m /%P\\n"])).unwrap();
    let mut found: Vec<&str> = found.lines().collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            "400 /etc/grid-security/pilots/proxy.biomed_pilot",
            "644 /etc/grid-security/certificates/0a.0",
            "644 /etc/grid-security/certificates/0b.0",
            "644 /etc/grid-security/certificates/0c.0",
            "644 /opt/dirac-pilot/settings",
            "755 /opt/dirac-pilot/start-pilot",
        ]
    );
    let page = fs::read_to_string(recipes().join("README.md")).unwrap();
    for path in
        ["`/opt/dirac-pilot/settings`", "`/opt/dirac-pilot/start-pilot`", "`/etc/grid-security/pilots/proxy.GROUP`"]
    {
        assert!(page.contains(path), "the page says {path}");
    }

    fs::remove_file(folder.join("settings")).unwrap();
    let refused = install().unwrap_err().to_string();
    assert!(refused.contains("begin with settings.example"), "{refused}");
}

/// What cloud-init says of a cloud-config; it is not installed: it would take this machine for its own at the next boot.
fn schema(cloud_config: &Path) -> anyhow::Result<String> {
    const NEEDS: [&str; 8] = [
        "python3-configobj",
        "python3-jinja2",
        "python3-jsonpatch",
        "python3-jsonschema",
        "python3-oauthlib",
        "python3-requests",
        "python3-serial",
        "python3-yaml",
    ];
    apt::ensure("cloud-init", &NEEDS)?;
    let packages = apt::unpacked("cloud-init")?.join("usr/lib/python3/dist-packages");
    let mut command = Command::new("/usr/bin/python3");
    command.env("PYTHONPATH", packages).args(["-m", "cloudinit.cmd.main", "schema", "--config-file"]);
    run("cloud-init schema", command.arg(cloud_config))
}

/// A block of shell of the page that has these words.
fn of_the_page(words: &str) -> String {
    let page = fs::read_to_string(recipes().join("README.md")).unwrap();
    let mut blocks = page.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap());
    blocks.find(|block| block.contains(words)).unwrap_or_else(|| panic!("no block of the page has {words}")).to_owned()
}

#[test]
fn cloud_init_takes_what_the_page_makes_of_the_recipe_and_so_does_the_smallest_cloud() {
    let state = tempfile::tempdir().unwrap();
    let folder = site(state.path());
    let filled = Command::new("sh").current_dir(state.path()).args(["-ec", &of_the_page("@RECIPE@")]).output().unwrap();
    assert!(filled.status.success(), "{}", String::from_utf8_lossy(&filled.stderr));
    let recipe = fs::read_to_string(state.path().join("userdata.yaml")).unwrap();
    assert!(!recipe.contains("@RECIPE@"), "it is filled in");

    let merged = user_data::render(&pilot(), Some(&format!("{recipe}- /opt/dirac-pilot/start-pilot\n"))).unwrap();
    let merged = merged.expose_secret();
    let file = state.path().join("user-data");
    fs::write(&file, merged).unwrap();
    for config in [&state.path().join("userdata.yaml"), &file] {
        let said = schema(config).unwrap();
        assert!(said.contains("Valid cloud-config"), "{said}");
    }
    fs::write(&file, merged.replacen("runcmd:", "runcmd: {}\nruncommand:", 1)).unwrap();
    assert!(schema(&file).is_err(), "the check can fail");
    println!("{} bytes of user-data, {} of them the recipe's", merged.len(), recipe.len());
    assert!(merged.len() < Limits::EC2.user_data_bytes);

    let config: Value = serde_saphyr::from_str(merged).unwrap();
    let packed = config["write_files"].as_array().unwrap().iter().find(|file| file["encoding"] == "b64").unwrap();
    let unpacked = state.path().join("unpacked");
    fs::create_dir(&unpacked).unwrap();
    fs::write(state.path().join("packed"), BASE64_STANDARD.decode(packed["content"].as_str().unwrap()).unwrap())
        .unwrap();
    run("tar", Command::new("tar").arg("-xzf").arg(state.path().join("packed")).arg("-C").arg(&unpacked)).unwrap();
    for name in ["install", "start-pilot", "settings", "requirements.txt", "certificates/0a.0"] {
        assert_eq!(fs::read(unpacked.join(name)).unwrap(), fs::read(folder.join(name)).unwrap(), "{name}");
    }
    assert!(!unpacked.join("proxies").exists(), "no proxy is in user-data unless somebody asks for it");
    let commands: Vec<&str> = config["runcmd"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    let place = |end: &str| commands.iter().position(|line| line.ends_with(end)).unwrap();
    assert!(place("/install") < place("/start-pilot"), "{commands:?}");
}

/// Debian's Packer is of 2020: it has the OpenStack builder in itself, and knows no `required_plugins`.
#[test]
fn packer_knows_every_word_and_goes_on_to_the_cloud() {
    let packer = apt::unpacked("packer").unwrap().join("usr/bin/packer");
    let text = fs::read_to_string(recipes().join("pilot.pkr.hcl")).unwrap();
    let (begin, end) = (text.find("packer {").unwrap(), text.find("variable ").unwrap());
    assert!(text[begin..end].contains("required_plugins"));
    let text = format!("{}{}", &text[..begin], &text[end..]);
    let state = tempfile::tempdir().unwrap();
    let file = state.path().join("pilot.pkr.hcl");
    let validate = |text: &str| {
        fs::write(&file, text).unwrap();
        let mut command = Command::new(&packer);
        command
            .envs(["HOME", "PACKER_CONFIG_DIR"].map(|name| (name, state.path())))
            .env("OS_AUTH_URL", "http://127.0.0.1:1/v3")
            .envs(["OS_USERNAME", "OS_PASSWORD", "OS_PROJECT_NAME", "OS_DOMAIN_NAME"].map(|name| (name, "x")))
            .args(["validate", "-var", r#"networks=["a"]"#])
            .arg(&file);
        let output = output(&mut command, "").unwrap();
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    };
    let said = validate(&text);
    assert!(
        said.contains("127.0.0.1:1/v3/auth/tokens") && said.contains("1 error(s)"),
        "only the cloud is not there: {said}"
    );
    let said = validate(&text.replace("image_visibility", "image_visible"));
    assert!(said.contains("image_visible"), "the check can fail: {said}");
}
