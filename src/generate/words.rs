//! The words that people of the population are described with. Knows words and how they go together; draws nothing.

/// Provinces with their cities, larger ones first.
pub(super) const PROVINCES: &[(&str, &[&str])] = &[
    ("Shanghai", &["Shanghai"]),
    ("Beijing", &["Beijing"]),
    ("Tianjin", &["Tianjin"]),
    ("Chongqing", &["Chongqing"]),
    ("Guangdong", &[
        "Shenzhen", "Guangzhou", "Dongguan", "Foshan", "Zhuhai", "Zhongshan", "Huizhou", "Shantou", "Jiangmen",
        "Zhanjiang", "Zhaoqing", "Maoming", "Jieyang", "Meizhou", "Qingyuan", "Yangjiang", "Shaoguan", "Heyuan",
        "Yunfu", "Shanwei", "Chaozhou",
    ]),
    ("Zhejiang", &[
        "Hangzhou", "Ningbo", "Wenzhou", "Jinhua", "Shaoxing", "Jiaxing", "Taizhou", "Huzhou", "Lishui",
        "Quzhou", "Zhoushan", "Yiwu", "Cixi",
    ]),
    ("Jiangsu", &[
        "Suzhou", "Nanjing", "Wuxi", "Nantong", "Changzhou", "Xuzhou", "Yancheng", "Yangzhou", "Zhenjiang",
        "Huai'an", "Lianyungang", "Suqian", "Kunshan", "Jiangyin",
    ]),
    ("Shandong", &[
        "Qingdao", "Jinan", "Yantai", "Weifang", "Linyi", "Jining", "Zibo", "Weihai", "Tai'an", "Dezhou",
        "Heze", "Liaocheng", "Dongying", "Binzhou", "Zaozhuang", "Rizhao",
    ]),
    ("Sichuan", &[
        "Chengdu", "Mianyang", "Yibin", "Deyang", "Nanchong", "Luzhou", "Dazhou", "Leshan", "Zigong", "Meishan",
        "Neijiang", "Suining", "Guang'an", "Panzhihua", "Guangyuan", "Ziyang", "Bazhong", "Ya'an", "Liangshan",
        "Garze", "Aba",
    ]),
    ("Hubei", &[
        "Wuhan", "Xiangyang", "Yichang", "Jingzhou", "Huanggang", "Xiaogan", "Shiyan", "Huangshi", "Jingmen",
        "Xianning", "Suizhou", "Ezhou", "Enshi", "Xiantao", "Qianjiang", "Tianmen",
    ]),
    ("Hunan", &[
        "Changsha", "Yueyang", "Changde", "Hengyang", "Zhuzhou", "Chenzhou", "Shaoyang", "Xiangtan", "Yongzhou",
        "Yiyang", "Huaihua", "Loudi", "Zhangjiajie", "Xiangxi",
    ]),
    ("Henan", &[
        "Zhengzhou", "Luoyang", "Nanyang", "Xuchang", "Zhoukou", "Xinxiang", "Shangqiu", "Zhumadian", "Xinyang",
        "Pingdingshan", "Kaifeng", "Anyang", "Jiaozuo", "Puyang", "Sanmenxia", "Luohe", "Hebi",
    ]),
    ("Fujian", &[
        "Fuzhou", "Xiamen", "Quanzhou", "Zhangzhou", "Ningde", "Longyan", "Sanming", "Putian", "Nanping",
        "Jinjiang",
    ]),
    ("Anhui", &[
        "Hefei", "Wuhu", "Chuzhou", "Fuyang", "Anqing", "Ma'anshan", "Bengbu", "Bozhou", "Lu'an", "Xuancheng",
        "Huainan", "Huaibei", "Tongling", "Chizhou", "Huangshan",
    ]),
    ("Hebei", &[
        "Shijiazhuang", "Tangshan", "Cangzhou", "Handan", "Baoding", "Langfang", "Xingtai", "Qinhuangdao",
        "Zhangjiakou", "Hengshui", "Chengde",
    ]),
    ("Shaanxi", &[
        "Xi'an", "Yulin", "Xianyang", "Baoji", "Weinan", "Yan'an", "Hanzhong", "Ankang", "Shangluo", "Tongchuan",
    ]),
    ("Liaoning", &[
        "Shenyang", "Dalian", "Anshan", "Yingkou", "Jinzhou", "Panjin", "Fushun", "Dandong", "Benxi",
        "Liaoyang", "Tieling", "Chaoyang", "Huludao", "Fuxin",
    ]),
    ("Jiangxi", &[
        "Nanchang", "Ganzhou", "Jiujiang", "Shangrao", "Yichun", "Ji'an", "Xinyu", "Yingtan", "Pingxiang",
        "Jingdezhen",
    ]),
    ("Heilongjiang", &[
        "Harbin", "Daqing", "Qiqihar", "Suihua", "Mudanjiang", "Jiamusi", "Jixi", "Shuangyashan", "Heihe",
        "Hegang", "Qitaihe", "Daxing'anling",
    ]),
    ("Jilin", &["Changchun", "Jilin", "Songyuan", "Siping", "Tonghua", "Baicheng", "Baishan", "Liaoyuan", "Yanbian"]),
    ("Shanxi", &[
        "Taiyuan", "Changzhi", "Lüliang", "Linfen", "Jincheng", "Yuncheng", "Jinzhong", "Datong", "Xinzhou",
        "Shuozhou", "Yangquan",
    ]),
    ("Guangxi", &[
        "Nanning", "Liuzhou", "Guilin", "Qinzhou", "Wuzhou", "Baise", "Beihai", "Guigang", "Hechi", "Chongzuo",
        "Fangchenggang", "Hezhou", "Laibin",
    ]),
    ("Yunnan", &[
        "Kunming", "Qujing", "Honghe", "Yuxi", "Dali", "Chuxiong", "Zhaotong", "Wenshan", "Baoshan", "Lincang",
        "Pu'er", "Xishuangbanna", "Lijiang", "Dehong", "Nujiang", "Diqing",
    ]),
    ("Guizhou", &[
        "Guiyang", "Zunyi", "Bijie", "Qianxinan", "Qiannan", "Liupanshui", "Qiandongnan", "Tongren", "Anshun",
    ]),
    ("Gansu", &[
        "Lanzhou", "Tianshui", "Qingyang", "Jiuquan", "Baiyin", "Wuwei", "Zhangye", "Pingliang", "Longnan",
        "Dingxi", "Jinchang", "Linxia", "Jiayuguan", "Gannan",
    ]),
    ("Inner Mongolia", &[
        "Hohhot", "Ordos", "Baotou", "Chifeng", "Tongliao", "Xilingol", "Hulunbuir", "Ulanqab", "Bayannur",
        "Wuhai", "Hinggan", "Alxa",
    ]),
    ("Xinjiang", &[
        "Urumqi", "Changji", "Ili", "Bayingolin", "Aksu", "Karamay", "Kashgar", "Hami", "Turpan", "Tacheng",
        "Altay", "Hotan", "Bortala", "Kizilsu", "Shihezi",
    ]),
    ("Hainan", &["Haikou", "Sanya", "Danzhou", "Qionghai", "Wenchang", "Wanning"]),
    ("Ningxia", &["Yinchuan", "Wuzhong", "Shizuishan", "Zhongwei", "Guyuan"]),
    ("Qinghai", &["Xining", "Haixi", "Haidong", "Haibei", "Huangnan", "Yushu"]),
    ("Tibet", &["Lhasa", "Shigatse", "Shannan", "Nyingchi", "Chamdo", "Nagqu"]),
];

/// The cities with the most people, in that order; the others follow by their place in their province.
pub(super) const LARGEST_CITIES: &[&str] = &[
    "Shanghai", "Beijing", "Hangzhou", "Shenzhen", "Guangzhou", "Chengdu", "Chongqing", "Wuhan", "Suzhou",
    "Nanjing", "Xi'an", "Tianjin", "Changsha", "Zhengzhou", "Ningbo", "Qingdao", "Dongguan", "Foshan", "Hefei",
    "Wuxi", "Jinan", "Kunming", "Xiamen", "Fuzhou", "Shenyang", "Dalian", "Wenzhou", "Harbin", "Changchun",
    "Nanning",
];

/// Interests by who has them more: how much women lean to them (−1 to 1), the age band that does most (0 to 5; none:
/// all alike), and the words.
pub(super) const INTERESTS: &[(f64, Option<usize>, &[&str])] = &[
    (0.0, None, &[
        "hotpot", "noodles", "tea", "coffee", "travel", "music", "film", "cooking", "photography", "reading",
        "seafood", "barbecue", "dumplings", "bread", "fruit", "juice", "chocolate", "cheese", "ice cream",
        "prawn", "beef", "tofu", "rice wine", "bubble tea", "sushi", "curry", "pizza", "salad", "breakfast",
        "street food",
    ]),
    (0.8, Some(1), &[
        "skincare", "make-up", "nail art", "perfume", "k-pop", "idol shows", "cosplay", "handbags", "jewellery",
        "hair styling", "lolita fashion", "hanfu", "journaling", "stickers", "romance novels", "drama series",
        "plush toys", "street dance", "jazz dance", "selfie editing",
    ]),
    (0.7, Some(2), &[
        "yoga", "pilates", "baking", "flower arranging", "interior design", "babywear", "parenting",
        "pregnancy", "early learning", "spa", "fashion", "shoes", "home fragrance", "healthy eating", "zumba",
        "barre", "knitting", "crochet", "candles", "brunch",
    ]),
    (0.5, Some(4), &[
        "square dancing", "choir", "gardening", "embroidery", "health tea", "tai chi fan", "folk dance",
        "recipes", "grandchildren", "medicinal food", "scarves", "silk", "jade", "bird watching",
        "community events",
    ]),
    (-0.7, Some(1), &[
        "esports", "console games", "mobile games", "anime", "model kits", "skateboarding", "basketball",
        "sneakers", "mechanical keyboards", "science fiction", "board games", "trading cards", "hip-hop",
        "programming", "virtual reality", "streaming", "parkour", "electric scooters", "manga", "capsule toys",
    ]),
    (-0.6, Some(2), &[
        "football", "running", "cycling", "gym", "craft beer", "camping", "motorcycles", "drones", "cars",
        "electric cars", "smart home", "audio equipment", "cameras", "rock climbing", "snowboarding", "boxing",
        "diving", "surfing", "triathlon", "whisky",
    ]),
    (-0.6, Some(3), &[
        "golf", "fishing", "stocks", "watches", "baijiu", "cigars", "history", "military history",
        "business news", "tennis", "badminton", "table tennis", "car washing", "woodwork", "tea ware",
        "red wine", "chess", "mahjong", "off-road driving", "real estate",
    ]),
    (-0.2, Some(5), &[
        "calligraphy", "tai chi", "chinese chess", "opera", "radio", "newspapers", "walking", "stamps", "coins",
        "antiques", "poetry", "goldfish", "bonsai", "go", "documentaries",
    ]),
    (0.1, Some(0), &[
        "building blocks", "cartoons", "picture books", "dinosaurs", "puzzles", "school supplies",
        "swimming lessons", "piano", "ballet", "drawing", "science kits", "toy trains", "theme parks", "zoo",
        "chess club",
    ]),
    (0.1, Some(3), &[
        "hiking", "swimming", "skiing", "museums", "theatre", "concerts", "hot springs", "camper vans",
        "cruises", "pets", "cats", "dogs", "organic food", "farm produce", "volunteering", "languages",
        "podcasts", "insurance", "home cooking", "wellness", "meditation", "marathon", "vegetarian food",
        "dairy", "imported food",
    ]),
];

/// Occupations with their weights; the first is for the young, the second for the old.
pub(super) const OCCUPATIONS: &[&str] = &[
    "student", "retired", "office clerk", "sales", "teacher", "engineer", "programmer", "nurse", "shop assistant",
    "driver", "civil servant", "accountant", "factory worker", "chef", "waiter", "designer", "doctor", "farmer",
    "courier", "homemaker", "manager", "freelancer", "builder", "electrician", "security guard", "hairdresser",
    "cleaner", "lawyer", "journalist", "researcher", "bank clerk", "estate agent", "photographer", "translator",
    "pharmacist", "police officer", "soldier", "musician", "actor", "architect", "dentist", "vet", "editor",
    "consultant", "entrepreneur", "logistics planner", "machine operator", "technician", "tour guide", "pilot",
];

/// Where people came from, most frequent first.
pub(super) const SOURCES: &[&str] = &[
    "wechat", "store", "app store", "tmall", "douyin", "friend", "xiaohongshu", "jd", "search", "mini program",
    "weibo", "qr poster", "mall event", "kuaishou", "bilibili", "call centre", "partner bank", "sms", "email",
    "meituan", "eleme", "pinduoduo", "airport stand", "campus event", "radio spot", "magazine", "charity run",
    "trade fair", "employee", "import 2016",
];

pub(super) const TIERS: &[&str] = &["V1", "V2", "V3", "V4", "V5"];
pub(super) const LIFECYCLES: &[&str] = &["new", "active", "loyal", "dormant", "lapsed", "churned"];
pub(super) const GENDERS: &[&str] = &["F", "M"];
pub(super) const DEVICES: &[&str] = &["android", "ios", "harmony", "desktop", "tablet", "feature phone"];
/// Ways by which the brand can reach people.
pub(super) const CHANNELS: &[&str] = &["wechat", "sms", "app push", "email", "phone call", "post"];
/// Where purchases are made.
pub(super) const SHOPS: &[&str] = &["app", "mini program", "mall", "street", "web", "phone"];
/// Product categories with the middle price of a purchase.
pub(super) const CATEGORIES: &[(&str, f64)] = &[
    ("bakery", 24.0), ("dairy", 38.0), ("farm produce", 46.0), ("fruit", 42.0), ("noodles", 28.0),
    ("hotpot", 138.0), ("prawn", 96.0), ("beef", 118.0), ("pork", 64.0), ("poultry", 52.0), ("fish", 78.0),
    ("rice", 58.0), ("oil", 72.0), ("snacks", 32.0), ("chocolate", 48.0), ("tea", 108.0), ("coffee", 36.0),
    ("juice", 22.0), ("water", 14.0), ("beer", 44.0), ("wine", 168.0), ("baijiu", 298.0), ("frozen food", 56.0),
    ("spices", 18.0), ("baby food", 158.0), ("nappies", 128.0), ("pet food", 98.0), ("skincare", 218.0),
    ("make-up", 148.0), ("hair care", 68.0), ("cleaning", 34.0), ("paper", 29.0), ("kitchenware", 88.0),
    ("bedding", 258.0), ("clothes", 188.0), ("shoes", 268.0), ("toys", 78.0), ("books", 46.0),
    ("electronics", 688.0), ("gifts", 198.0),
];
pub(super) const COUPONS: &[&str] = &[
    "WELCOME10", "MEMBER5", "BIRTHDAY20", "DOUBLE11", "DOUBLE12", "SPRING", "QIXI", "MIDAUTUMN", "FREESHIP",
    "WIN BACK", "BAKERY3", "FRESH8",
];
/// Parts of e-mail addresses before the number that makes them distinct.
pub(super) const MAIL_NAMES: &[&str] = &[
    "li.wei", "wang.fang", "zhang.min", "liu.yang", "chen.jing", "yang.li", "zhao.lei", "huang.yan", "zhou.jie",
    "wu.xia", "xu.ping", "sun.hao", "hu.juan", "zhu.ling", "gao.feng", "lin.tao",
];
pub(super) const MAIL_DOMAINS: &[&str] = &["example.com", "example.org", "example.net"];
