use jiff::Timestamp;

use super::*;

fn at() -> Timestamp {
    Timestamp::from_second(1_790_000_000).unwrap()
}

fn owner() -> Owner {
    Owner { id: "100".into(), display_name: "100".into() }
}

fn body<T: Serialize>(document: &T) -> String {
    let text = to_xml(document).unwrap();
    text.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n").unwrap().to_owned()
}

#[test]
fn errors() {
    let error = Error {
        code: Code::NoSuchKey,
        message: "no `a<b>&`".into(),
        request_id: "6B".into(),
        host_id: "h".into(),
        string_to_sign: None,
    };
    assert_eq!(
        body(&error),
        "<Error><Code>NoSuchKey</Code><Message>no `a&lt;b&gt;&amp;`</Message>\
         <RequestId>6B</RequestId><HostId>h</HostId></Error>"
    );
    for (code, status) in
        [(Code::NoSuchUpload, 404), (Code::BucketNotEmpty, 409), (Code::InvalidRange, 416)]
    {
        assert_eq!(code.status(), status);
    }
}

fn listing() -> ListBucketResult {
    let entry = ObjectEntry {
        key: "a&b".into(),
        last_modified: at(),
        e_tag: "\"D4\"".into(),
        r#type: "Normal",
        size: 7,
        storage_class: "Standard".into(),
        owner: Some(owner()),
    };
    ListBucketResult {
        name: "images".into(),
        max_keys: 2,
        is_truncated: true,
        contents: vec![entry.clone(), ObjectEntry { key: "c".into(), owner: None, ..entry }],
        common_prefixes: vec![CommonPrefix { prefix: "x/".into() }],
        ..ListBucketResult::default()
    }
}

const CONTENTS: &str = "<Contents><Key>a&amp;b</Key>\
    <LastModified>2026-09-21T14:13:20.000Z</LastModified><ETag>\"D4\"</ETag><Type>Normal</Type>\
    <Size>7</Size><StorageClass>Standard</StorageClass>\
    <Owner><ID>100</ID><DisplayName>100</DisplayName></Owner></Contents><Contents><Key>c</Key>\
    <LastModified>2026-09-21T14:13:20.000Z</LastModified><ETag>\"D4\"</ETag><Type>Normal</Type>\
    <Size>7</Size><StorageClass>Standard</StorageClass></Contents>\
    <CommonPrefixes><Prefix>x/</Prefix></CommonPrefixes>";

#[test]
fn listings_of_both_versions() {
    let first =
        ListBucketResult { marker: Some("".into()), next_marker: Some("c".into()), ..listing() };
    assert_eq!(
        body(&first),
        format!(
            "<ListBucketResult><Name>images</Name><Prefix/><Marker/><MaxKeys>2</MaxKeys>\
             <Delimiter/><IsTruncated>true</IsTruncated><NextMarker>c</NextMarker>{CONTENTS}\
             </ListBucketResult>"
        )
    );
    let second = ListBucketResult {
        next_continuation_token: Some("Y2==".into()),
        encoding_type: Some("url"),
        key_count: Some(3),
        ..listing()
    };
    assert_eq!(
        body(&second),
        format!(
            "<ListBucketResult><Name>images</Name><Prefix/><MaxKeys>2</MaxKeys><Delimiter/>\
             <EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>\
             <NextContinuationToken>Y2==</NextContinuationToken>{CONTENTS}\
             <KeyCount>3</KeyCount></ListBucketResult>"
        )
    );
    assert_eq!(url_encoded("镜/a b\u{1}"), "%E9%95%9C%2Fa%20b%01");
}

#[test]
fn documents_of_uploads() {
    let started = InitiateMultipartUploadResult {
        bucket: "b".into(),
        key: "k\r\u{1}".into(),
        upload_id: "U".into(),
    };
    assert_eq!(
        body(&started),
        "<InitiateMultipartUploadResult><Bucket>b</Bucket><Key>k&#13;\u{fffd}</Key>\
         <UploadId>U</UploadId></InitiateMultipartUploadResult>"
    );
    let parts = ListPartsResult {
        bucket: "b".into(),
        key: "k".into(),
        upload_id: "U".into(),
        storage_class: "Standard".into(),
        part_number_marker: 0,
        next_part_number_marker: 1,
        max_parts: 1000,
        is_truncated: false,
        part: vec![PartEntry {
            part_number: 1,
            last_modified: at(),
            e_tag: "\"D\"".into(),
            size: 5,
        }],
    };
    assert!(body(&parts).ends_with(
        "<IsTruncated>false</IsTruncated><Part><PartNumber>1</PartNumber>\
         <LastModified>2026-09-21T14:13:20.000Z</LastModified><ETag>\"D\"</ETag><Size>5</Size>\
         </Part></ListPartsResult>"
    ));
    let done = CompleteMultipartUploadResult {
        location: "http://h/b/k".into(),
        bucket: "b".into(),
        key: "k".into(),
        e_tag: "\"D-1\"".into(),
    };
    assert!(body(&done).contains("<ETag>\"D-1\"</ETag></CompleteMultipartUploadResult>"));
}

#[test]
fn documents_of_buckets() {
    let location = LocationConstraint { location: "oss-cn-hangzhou".into() };
    assert_eq!(body(&location), "<LocationConstraint>oss-cn-hangzhou</LocationConstraint>");
    let none = ListAllMyBucketsResult { owner: owner(), buckets: Buckets { bucket: vec![] } };
    assert!(body(&none).ends_with("</Owner><Buckets/></ListAllMyBucketsResult>"));
    let info = BucketInfo {
        bucket: BucketDetails {
            creation_date: at(),
            extranet_endpoint: "h".into(),
            intranet_endpoint: "h".into(),
            location: "oss-cn-hangzhou".into(),
            name: "b".into(),
            storage_class: "Standard".into(),
            data_redundancy_type: "LRS".into(),
            owner: owner(),
            access_control_list: AccessControlList { grant: "private" },
        },
    };
    assert!(
        body(&info).starts_with(
            "<BucketInfo><Bucket><CreationDate>2026-09-21T14:13:20.000Z</CreationDate>"
        )
    );
    assert!(body(&info).ends_with(
        "<AccessControlList><Grant>private</Grant></AccessControlList></Bucket></BucketInfo>"
    ));
}

fn list(numbers: impl IntoIterator<Item = u32>) -> String {
    let parts: String = numbers
        .into_iter()
        .map(|n| format!("<Part><PartNumber>{n}</PartNumber><ETag>\"d4\"</ETag></Part>"))
        .collect();
    format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>")
}

#[test]
fn a_list_of_parts_is_read() {
    let parts = complete_parts(list([1, 5]).as_bytes()).unwrap();
    let part = |number| CompletePart { number, etag: "D4".into() };
    assert_eq!(parts, [part(1), part(5)]);
    assert_eq!(complete_parts(list(1..=10_000).as_bytes()).unwrap().len(), MAX_PARTS);
}

#[test]
fn a_bad_list_of_parts_is_refused() {
    let deep = format!("<CompleteMultipartUpload>{}", "<a>".repeat(100_000));
    for (body, code) in [
        (list([]), Code::MalformedXML),
        (list([2, 1]), Code::InvalidPartOrder),
        (list([2, 2]), Code::InvalidPartOrder),
        (list([0]), Code::InvalidArgument),
        (list([10_001]), Code::InvalidArgument),
        (list(1..=10_001), Code::InvalidArgument),
        (list([1]).replace("d4", ""), Code::InvalidPart),
        (list([1]).replace("d4", &"d".repeat(65)), Code::InvalidPart),
        (list([1]).replace("d4", "&bomb;"), Code::MalformedXML),
        (list([1]).replace("Complete", "Other"), Code::MalformedXML),
        (list([1]).replace("</Part>", ""), Code::MalformedXML),
        (list([1]).replace(">1<", ">-1<"), Code::MalformedXML),
        (String::new(), Code::MalformedXML),
        (deep, Code::MalformedXML),
        (" ".repeat(MAX_COMPLETE_BYTES + 1), Code::InvalidArgument),
    ] {
        let found = complete_parts(body.as_bytes()).map_err(|error| error.code());
        assert_eq!(found, Err(code), "{}", &body[..body.len().min(200)]);
    }
    assert_eq!(complete_parts(b"\xff").unwrap_err().code(), Code::MalformedXML);
}
